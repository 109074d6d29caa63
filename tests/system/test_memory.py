#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`mem` accounts for the machine's RAM to the last byte, whatever its size and what the loader put into it."""
import re
import tempfile

from harness import PROMPT, Guest, case, check, main

MIB = 1 << 20


def memory_of(guest: Guest) -> dict[str, int]:
    """Maps each purpose to its bytes, as `mem` prints them."""
    text = guest.command_output("mem")
    return {m[1].strip(): int(m[2]) for m in re.finditer(r"^([a-z ]+?) +[\d.]+ +(\d+)$", text, re.M)}


def check_machine(size: str, total: int, model=None) -> dict[str, int]:
    with Guest(cpus=2, memory=size, model=model) as guest:
        guest.expect(PROMPT, 60)
        memory = memory_of(guest)
        check(memory.get("total") == total, f"-m {size}: {memory}")
        check(sum(v for k, v in memory.items() if k != "total") == total, f"the rows do not add up: {memory}")
        answer = guest.command_output("mem check")
        check("every page is accounted for" in answer, answer)
        return memory


@case
def small():
    """256 MiB"""
    check_machine("256M", 256 * MIB)


@case
def odd():
    """a size that is no multiple of 2 MiB: 333 MiB"""
    check_machine("333M", 333 * MIB)


@case
def across_the_hole():
    """8 GiB: RAM on both sides of the hole below 4 GiB"""
    check_machine("8G", 8192 * MIB)


@case
def with_a_model():
    """a model module is accounted as model, its last page included"""
    with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
        file.write(b"GGUF" + bytes(5 * MIB))
        file.flush()
        memory = check_machine("256M", 256 * MIB, file.name)
        check(memory.get("model") == 5 * MIB + 4096, f"{memory}")


@case
def with_a_model_beside_option_roms():
    """a disk with an option ROM: QEMU puts a module's end into pages that it lists as reserved; all of it is read"""
    with tempfile.NamedTemporaryFile(suffix=".gguf") as file, tempfile.NamedTemporaryFile(suffix=".img") as disk:
        disk.truncate(MIB)
        file.write(b"GGUF" + b"line\n" * 3000 + b"its end\n")
        file.flush()
        extra = ["-drive", f"file={disk.name},format=raw,if=none,id=d", "-device", "nvme,serial=marrow,drive=d"]
        with Guest(cpus=1, memory="256M", model=file.name, extra=extra) as guest:
            guest.expect(PROMPT, 60)
            name = re.search(r"\S*module\S*|\S*gguf", guest.command_output("ls /boot"))
            check(name is not None, guest.command_output("ls /boot"))
            text = guest.command_output(f"cat /boot/{name[0]}")
            check(text.count("line") == 3000 and "its end" in text, text[-300:])
            text = guest.command_output("mem check")
            check("every page is accounted for" in text, text)


if __name__ == "__main__":
    main()
