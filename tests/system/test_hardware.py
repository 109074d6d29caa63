#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests what firmware leaves and claims: IOMMUs that translate, CPUs that are not there, many boot modules."""
import pathlib
import struct
import subprocess
import tempfile

from debugger import Debugger
from harness import CPU_FAST, PROMPT, ROOT, Guest, case, check, main
from screen import ScreenGuest


@case
def an_iommu_that_the_firmware_left_on():
    """VT-d translates with an empty table when the kernel begins: it is turned off, and a disk behind it is read"""
    with tempfile.TemporaryDirectory() as folder:
        disk = pathlib.Path(folder, "disk")
        disk.write_bytes(b"a disk behind an IOMMU".ljust(1 << 20, b"."))
        extra = ["-machine", "q35,sata=off", "-device", "intel-iommu,intremap=off", "-drive",
                 f"file={disk},format=raw,if=none,id=d,snapshot=on", "-device", "nvme,serial=1,drive=d", "-S",
                 "-gdb", f"unix:{folder}/gdb,server=on,wait=off"]
        with Guest("log=info", cpus=1, memory="256M", extra=extra) as guest:
            debugger = Debugger(f"{folder}/gdb")
            debugger.use_physical_addresses()
            registers, root_table, set_root, translate = 0xfed90000, 0x8000000, 1 << 30, 1 << 31
            debugger.write(registers + 0x20, root_table)
            debugger.write(registers + 0x18, set_root)
            debugger.write(registers + 0x18, translate)
            debugger.go()
            guest.expect("iommu: 0xfed90000: the firmware had left translation on: turned off", 120)
            guest.expect(PROMPT, 60)
            guest.until("lsblk", "nvme0n1", 30)
            text = guest.command_output("disk read nvme0n1 0", 60)
            check("a disk behind an" in text, f"{text}\n{guest.command_output('dmesg')}")


@case
def cards_are_quiet_until_their_driver():
    """what the firmware left as a bus master is no more, unless a driver made it one again"""
    with Guest("log=info", cpus=1, memory="256M", extra=["-device", "e1000e", "-device", "pci-ohci"]) as guest:
        guest.expect(r"pci: \d+ functions in .* ms, (\d+) that the firmware had left on silenced", 60)
        guest.expect(PROMPT, 60)
        check("eth0" in guest.until("lsnet", "eth0", 30), guest.output)


@case
def a_screen_without_true_colour():
    """where the loader leaves VGA text, the screen says where the console is"""
    with ScreenGuest(cpus=1, memory="256M") as guest:
        guest.expect(PROMPT, 90)
        guest.see("no picture in true colour; the console is on the serial line", 60, guest.text_mode)


def madt(*entries: bytes) -> bytes:
    """Returns the part of a MADT behind its header."""
    return struct.pack("<II", 0xfee00000, 1) + b"".join(entries)


@case
def processors_that_are_not_there():
    """a table of dead CPUs, of numbers that mean all CPUs or do not fit, and of disabled ones costs seconds, no CPU"""
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder, "madt")
        dead, broadcast, disabled = (struct.pack("<BBBBI", 0, 8, 9, number, on) for number, on in ((0x40, 1), (0xff, 1), (0x41, 0)))
        large = [struct.pack("<BBHIII", 9, 16, 0, number, 1, number) for number in (0x1234, 0xffffffff)]
        table.write_bytes(madt(disabled, dead, broadcast, *large))
        # With x2APIC, which QEMU emulates from version 9 on, most of these numbers would fit.
        with Guest(cpus=3, memory="256M", cpu=f"{CPU_FAST},-x2apic", extra=["-acpitable", f"sig=APIC,data={table}"]) as guest:
            guest.expect("cpu: warning: 3 cpus have numbers of 255 and more", 60)
            guest.expect("sched: warning: cpu 3 did not answer within", 60)
            guest.expect(PROMPT, 60)
            text = guest.command_output("cpu")
            check("3 present, 3 working" in text, text)


@case
def more_modules_than_there_is_room_for():
    """70 files beside the kernel: 64 are taken, the rest is left out with a sentence, and the boot goes on"""
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder, f"file{i}.gguf") for i in range(70)]
        for file in files:
            file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))  # the least that is taken for a model
        iso = image_with(folder, files)
        with Guest(cpus=1, memory="256M", iso=iso) as guest:
            guest.expect(r"boot: warning: \d+ boot modules are left out: the first 64 were taken; name fewer files", 90)
            guest.expect(PROMPT, 60)
            check("file5" in guest.command_output("ls /boot"), guest.output)


def image_with(folder: str, files) -> pathlib.Path:
    config, iso = pathlib.Path(folder, "marrow.cfg"), pathlib.Path(folder, "many.iso")
    config.write_text("")
    words = [word for file in files for word in ("-m", str(file))]
    subprocess.run(["scripts/create_iso.sh", "-t", "0", "-c", str(config), "-o", str(iso), *words], cwd=ROOT, check=True,
                   capture_output=True)
    return iso


if __name__ == "__main__":
    main()
