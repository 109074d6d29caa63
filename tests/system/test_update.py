#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel is put on an installed disk, proves itself or is taken back: test_update.py [all] [CASE]

Bad kernels are copies of the kernel with other bytes at a function's beginning, signed as a good one would be. `all`
adds those that hang and that cannot load the model, and UEFI.
"""
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

import tiny_gguf
from disk_images import disk, fat_disk, tool
from harness import KERNEL, PATIENCE, ROOT, TWIN, Guest, case, check, main, small_iso, to_prompt
from machines import FIRMWARE

ALL = "all" in sys.argv[1:]
CONFIG = "log=info\nnet=off\nupdate.minutes=1\n"
MODEL = ROOT / "build/test/installed.gguf"
PANIC, HANG = b"\x0f\x0b", b"\xfa\xeb\xfe"  # ud2; cli and a jump to itself


def thorough(function):
    """Marks a case that only `all` runs."""
    return case(function) if ALL else function


def host(*words, status: int = 0) -> str:
    done = subprocess.run([TWIN, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120 * PATIENCE, check=False)
    check(done.returncode == status, f"{words}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def offset_of(elf: bytes, address: int) -> int:
    """Where the byte of an address lies in an ELF file."""
    table, size, count = struct.unpack_from("<Q", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
    for number in range(count):
        kind, _, at, start, _, length = struct.unpack_from("<IIQQQQ", elf, table + number * size)
        if kind == 1 and start <= address < start + length:
            return at + address - start
    raise AssertionError(f"no segment has the address {address:x}")


def planted(elf: bytes, symbol: str, code: bytes) -> bytes:
    names = subprocess.run([tool("nm"), KERNEL], capture_output=True, text=True, check=True).stdout
    at = offset_of(elf, int(re.search(rf"^(\w+) T {symbol}$", names, re.M)[1], 16))
    return elf[:at] + code + elf[at + len(code):]


class Site:
    """An installed disk that trusts a key, and a stick with updates."""

    def __init__(self, folder: str):
        self.folder, self.files = pathlib.Path(folder), []
        self.seed = self.folder / "site.seed"
        host("bundle", "keygen", self.seed, self.folder / "site.pub")
        iso = small_iso("update", CONFIG, tiny_gguf.write(MODEL), [self.folder / "site.pub"])
        self.image = self.folder / "disk.img"
        host(f"run=install --to-image {self.image} --from {iso} --size 160; poweroff")
        kernel = self.folder / "marrow.elf"
        subprocess.run([tool("strip"), "--strip-debug", "-o", kernel, KERNEL], check=True)
        self.kernel = kernel.read_bytes()

    def update(self, name: str, elf: bytes, version: str = "99.1", sign: bool = True) -> pathlib.Path:
        kernel, file = self.folder / "kernel", self.folder / f"{name}.update"
        kernel.write_bytes(elf)
        host("update", "make", kernel, file, version)
        if sign:
            host("update", "sign", file, self.seed)
        self.files.append(file)
        return file

    def guest(self, firmware: str = "seabios") -> Guest:
        stick = fat_disk(self.folder / "stick.img", 256, *self.files)
        boot = disk(self.image, "nvme")
        boot[-1] += ",bootindex=0"  # a BIOS would start the stick's boot sector
        return Guest(boot=boot, extra=[*disk(stick, "virtio-blk-pci"), *FIRMWARE[firmware]])

    def starts(self, guest: Guest, says: str) -> str:
        """Waits for the prompt, and for what the kernel must have said before."""
        guest.expect(says, 150)
        to_prompt(guest, 150)
        guest.until("mount", "/disk/vda", 60)
        return guest.command_output("update status", 60)

    def puts(self, guest: Guest, name: str) -> None:
        text = guest.command_output(f"update /disk/vda/{name}.update", 120)
        check("`reboot` tries it" in text, text)
        guest.send("reboot\r")
        guest.wait_exit(60)  # QEMU ends where the machine would restart

    def resets(self, firmware: str, says: str) -> None:
        """Starts a kernel that does not prove itself."""
        with self.guest(firmware) as guest:
            guest.expect(says, 150)
            guest.wait_exit(150)
            check("has proved itself" not in guest.output, guest.output[-2000:])


def refused(site: Site, guest: Guest) -> None:
    for name, why in (("unsigned", "must be signed by a key of this machine"), ("changed", "is not the one that was signed"),
                      ("older", "is older than the running kernel"), ("large", "too large for the slots"),
                      ("arm", "another kind of machine")):
        text = guest.command_output(f"update /disk/vda/{name}.update", 120)
        check(why in text, f"{name}: {text}")
    check("installed" in guest.command_output("update status"), guest.output[-1000:])


def bad_files(site: Site) -> None:
    site.update("unsigned", site.kernel, sign=False)
    changed = site.update("changed", site.kernel)
    data = bytearray(changed.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    site.update("older", site.kernel, "0.0.1")
    site.update("large", site.kernel + bytes(24 << 20))
    site.update("arm", site.kernel[:18] + struct.pack("<H", 183) + site.kernel[20:])


def falls_back(site: Site, firmware: str, name: str, says: str, why: str) -> None:
    """From the good kernel in slot a: a bad one goes to slot b, is tried once, and the good one says why it is back."""
    with site.guest(firmware) as guest:
        site.starts(guest, r"^")
        site.puts(guest, name)
    site.resets(firmware, says)
    with site.guest(firmware) as guest:
        text = site.starts(guest, rf"update: the kernel in slot b was tried and has not proved itself: {why}")
        check(re.search(r"a +99.1, runs \(.*\), starts\n", text) and re.search(r"b +99.2, failed", text), text)


def becomes_good(site: Site, firmware: str) -> None:
    site.update("good", site.kernel)
    with site.guest(firmware) as guest:
        to_prompt(guest, 150)
        guest.until("mount", "/disk/vda", 60)
        if site.files[0].stem == "unsigned":
            refused(site, guest)
        check("llm: done" in guest.command_output("llm hello 4", 60), guest.output[-2000:])
        site.puts(guest, "good")
    with site.guest(firmware) as guest:
        text = site.starts(guest, r"update: model ok\n(.|\n)*update: selftest ok\n(.|\n)*has proved itself and starts from now on")
        check(re.search(r"installed +of the installation, before it", text), text)
        check(re.search(r"a +99.1, runs \(.*\), starts", text), text)


@case
def an_update_and_a_panic():
    """wrong updates are refused; a good one proves itself and stays; one that panics is tried once"""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(folder)
        bad_files(site)
        becomes_good(site, "seabios")
        site.update("panics", planted(site.kernel, "_ZN5sched4initEv", PANIC), "99.2")
        falls_back(site, "seabios", "panics", "PANIC", r"it panicked, hung, .* in the step start")


def every_bad_kernel(firmware: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = Site(folder)
        becomes_good(site, firmware)
        unspecific = r"it panicked, hung, .* in the step start"
        for name, elf, says, why in (
                ("panics", planted(site.kernel, "_ZN5sched4initEv", PANIC), "PANIC", unspecific),
                ("hangs", planted(site.kernel, "_ZN7console3runEv", HANG), r"^", unspecific),
                ("early", planted(site.kernel, "_ZN5sched4initEv", HANG), r"^", unspecific),
                ("blind", site.kernel.replace(b"GGUF", b"GGUX"), "has not proved itself", r".* \(step model\)")):
            site.update(name, elf, "99.2")
            falls_back(site, firmware, name, says, why)
            print(f"# {name}: the kernel before it is back, {firmware}", flush=True)


@thorough
def bad_kernels_by_bios():
    """kernels that panic, hang and cannot load the model are tried once by SeaBIOS"""
    every_bad_kernel("seabios")


@thorough
def bad_kernels_by_uefi():
    """kernels that panic, hang and cannot load the model are tried once by OVMF"""
    every_bad_kernel("ovmf")


if __name__ == "__main__":
    if ALL:
        sys.argv.remove("all")
    main()
