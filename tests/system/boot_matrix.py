#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots the image in every kind of machine: firmware x medium x CPUs x RAM x console (`make test-matrix`).

boot_matrix.py [SUBSTRING]; test_boot.py runs a few of these rows.
"""
import itertools
import re
import sys
import time

from harness import PROMPT, Guest, check, in_pairs, small_iso
from screen import ScreenGuest

OVMF = "/usr/share/ovmf/OVMF.fd"
FIRMWARE = {"seabios": [], "ovmf": ["-bios", OVMF]}
SIZES = {"256M": 256 << 20, "1G": 1 << 30, "8G": 8 << 30}
MEDIUM = {
    "cd": lambda iso: ["-cdrom", str(iso), "-boot", "d"],
    "stick": lambda iso: ["-device", "qemu-xhci", "-drive", f"file={iso},format=raw,if=none,id=stick,readonly=on",
                          "-device", "usb-storage,drive=stick"],
}
SERIAL_SECONDS, SCREEN_SECONDS = 120, 150

# firmware, medium, CPUs, RAM, console
MACHINES = list(itertools.product(FIRMWARE, MEDIUM, (1, 2, 4), ("256M", "8G"), ("both",)))
MACHINES += list(itertools.product(FIRMWARE, MEDIUM, (2,), ("1G",), ("serial", "screen")))
# The rows contain every value of every column, and each firmware with each medium.
REPRESENTATIVE = [
    ("seabios", "cd", 1, "256M", "both"), ("seabios", "stick", 4, "8G", "both"),
    ("ovmf", "cd", 4, "8G", "both"), ("ovmf", "stick", 1, "256M", "both"),
    ("seabios", "cd", 2, "1G", "serial"), ("ovmf", "cd", 2, "1G", "serial"),
    ("seabios", "cd", 2, "1G", "screen"), ("ovmf", "cd", 2, "1G", "screen"),
]


def boot_with_serial(iso, firmware, medium, cpus, memory, console) -> None:
    extra = FIRMWARE[firmware] + (["-vga", "none"] if console == "serial" else [])
    with Guest(cpus=cpus, memory=memory, boot=MEDIUM[medium](iso), extra=extra) as guest:
        guest.expect(PROMPT, SERIAL_SECONDS)
        text = guest.command_output("cpu", 60)
        check(f"{cpus} present, {cpus} working" in text, text)
        total = re.search(r"^total +[0-9.]+ +(\d+)$", guest.command_output("mem", 60), re.M)
        check(total and int(total[1]) == SIZES[memory], f"mem's total is {total and total[1]}")
        check("accounted for" in guest.command_output("mem check", 60), "mem check")
        screen = guest.command_output("dmesg", 60)
        check(("1024 x 768 pixels" in screen) == (console != "serial"), f"the log says of the screen:\n{screen}")
        guest.send("poweroff\r")
        check(guest.wait_exit(60) in (0, 1), "power-off")


def boot_with_screen(iso, firmware, medium, cpus, memory) -> None:
    with ScreenGuest(cpus=cpus, memory=memory, boot=MEDIUM[medium](iso), extra=FIRMWARE[firmware],
                     serial="none") as guest:
        guest.see(r"^marrow>$", SCREEN_SECONDS)
        guest.type("cpu\n")
        guest.see(rf"cpus: {cpus} present, {cpus} working", 60)
        guest.type("poweroff\n")
        check(guest.wait_exit(60) in (0, 1), "power-off")


def boot(iso, firmware, medium, cpus, memory, console) -> None:
    start = time.monotonic()
    if console == "screen":
        boot_with_screen(iso, firmware, medium, cpus, memory)
    else:
        boot_with_serial(iso, firmware, medium, cpus, memory, console)
    print(f"# {firmware} {medium} {cpus} cpus {memory} {console}: {time.monotonic() - start:.1f} s", flush=True)


def boot_all(machines) -> None:
    iso = small_iso()
    in_pairs(lambda *row: boot(iso, *row), machines)


def main() -> None:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    machines = [m for m in MACHINES if wanted in " ".join(map(str, m))]
    iso, failed = small_iso(), []

    def one(*row) -> None:
        try:
            boot(iso, *row)
        except Exception as error:
            failed.append(row)
            print(f"not ok - {row}: {error}", flush=True)

    in_pairs(one, machines)
    print(f"{len(machines) - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed or not machines else 0)


if __name__ == "__main__":
    main()
