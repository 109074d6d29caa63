#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots the ARM64 kernel in every kind of machine that QEMU's `virt` can be, and prints a table (`make test-arm-machines`).

arm_machines.py [SUBSTRING]   the table, or the rows whose description contains the words
arm_machines.py --all         every combination of interrupt controller, exception level, CPU, CPUs and memory by -kernel
A machine reaches its prompt, says what it is, and switches itself off. Needs no model.
"""
import dataclasses
import itertools
import re
import subprocess
import sys

from harness import PROMPT, ROOT, Guest, Hang, check, need
from qemu_test import MACHINES

ARM, X86 = MACHINES["aarch64"], MACHINES["x86_64"]
FIRMWARE = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
MEMORY = {"256M": "", "8G": "", "2G": ",highmem=off"}  # and what the board is told with it


@dataclasses.dataclass
class Machine:
    way: str = "image"  # image: -kernel; uefi: -kernel by EDK2; disk, nvme, stick, cd: the shared image by EDK2
    gic: int = 3
    level: int = 1
    cpu: str = "cortex-a72"
    cpus: int = 2
    memory: str = "256M"
    tables: str = "fdt"

    def row(self) -> str:
        return (f"{self.way:6} {self.tables:4} GICv{self.gic} EL{self.level} {self.cpu:10} {self.cpus} cpus "
                f"{self.memory}{MEMORY[self.memory]}")

    def board(self) -> str:
        return (f"virt,gic-version={self.gic}{',virtualization=on' if self.level == 2 else ''}{MEMORY[self.memory]}"
                f"{',acpi=off' if self.way != 'image' and self.tables == 'fdt' else ''}")


def table() -> list[Machine]:
    """Every pair of two properties of a machine that is entered by -kernel; then the other ways in."""
    controllers, memories = tuple(itertools.product((2, 3), (1, 2))), tuple(MEMORY)
    rows = [Machine("image", gic, level, cpu, (1, 2, 4)[(c + 2 * g) % 3], memories[(c + g) % 3])
            for g, (gic, level) in enumerate(controllers) for c, cpu in enumerate(("cortex-a57", "cortex-a72", "max"))]
    rows += [Machine("uefi", gic, level, cpu, 2, memory, tables) for tables in ("acpi", "fdt")
             for gic, level, cpu, memory in ((2, 1, "cortex-a57", "256M"), (2, 2, "max", "8G"), (3, 1, "max", "2G"), (3, 2, "cortex-a72", "256M"))]
    rows += [Machine(way, 3, level, "cortex-a72", 2, "256M", "acpi") for way, level in (("disk", 1), ("nvme", 2), ("stick", 1), ("cd", 2))]
    return rows


def every_image() -> list[Machine]:
    return [Machine("image", *row) for row in itertools.product((2, 3), (1, 2), ("cortex-a57", "cortex-a72", "max"), (1, 2, 4), MEMORY)]


def shared_image() -> str:
    """The image with both kernels and no model, made once."""
    folder = ROOT / "build/test"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "arm-machines.cfg").write_text('run = "echo from the image"\n')
    subprocess.run(["scripts/create_iso.sh", "-t", "0", "-k", str(need(X86.kernel, "make kernel")), "-a", str(ARM.kernel),
                    "-c", folder / "arm-machines.cfg", "-o", folder / "arm-machines.iso"], cwd=ROOT, check=True, capture_output=True)
    return str(folder / "arm-machines.iso")


MEDIUM = {
    "disk": ["-device", "virtio-blk-pci,drive=m,bootindex=0"],
    "nvme": ["-device", "nvme,serial=1,drive=m,bootindex=0"],
    "stick": ["-device", "qemu-xhci", "-device", "usb-storage,drive=m"],
    "cd": ["-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=m"],
}


def boots(machine: Machine, iso: str) -> str:
    """Boots it, and returns how long its boot function took by its own clock."""
    boot = None if machine.way == "image" else ["-bios", FIRMWARE, "-kernel", str(ARM.kernel)]
    if machine.way in MEDIUM:
        boot = ["-bios", FIRMWARE, "-drive", f"if=none,id=m,format=raw,readonly=on,file={iso}", *MEDIUM[machine.way]]
    with Guest("log=info", kernel=ARM.kernel, board=machine.board(), cpu=machine.cpu, cpus=machine.cpus, memory=machine.memory,
               boot=boot) as guest:
        guest.expect(PROMPT, 90)
        guest.settle(0.5)
        check(machine.way not in MEDIUM or "\nfrom the image\n" in guest.output, "marrow.cfg of the medium was not read")
        text = guest.command_output("cpu")
        check(f"{machine.cpus} present, {machine.cpus} working" in text and f"GICv{machine.gic}" in text, text)
        text = guest.command_output("firmware")
        check(f"from EL{machine.level}" in text, text)
        check(("device tree of" in text) == (machine.tables == "fdt"), text)
        found = int(re.search(r"^total +(\d+)", guest.command_output("mem"), re.M)[1])
        wanted = int(machine.memory[:-1]) * (1024 if machine.memory.endswith("G") else 1)
        check(wanted - 80 <= found <= wanted, f"{found} MiB of {machine.memory}")
        took = re.search(r"^prompt +([\d.]+) ms", guest.command_output("perf boot"), re.M)[1]
        check("PANIC" not in guest.output and "error:" not in guest.output, guest.output)
        guest.send("poweroff\r")
        # With semihosting off, as from a medium, PSCI ends the machine.
        check(guest.wait_exit(30) == 0, "the exit status of a power-off")
    return took


def main() -> None:
    rows = every_image() if "--all" in sys.argv else table()
    wanted = " ".join(word for word in sys.argv[1:] if word != "--all")
    rows = [row for row in rows if wanted in row.row()]
    need(ARM.kernel, "make kernel ARCH=aarch64")
    iso = shared_image() if any(row.way in MEDIUM for row in rows) else ""
    failed = 0
    for number, row in enumerate(rows, 1):
        try:
            took = boots(row, iso)
        except (AssertionError, Hang, OSError, TypeError) as error:
            failed += 1
            print(f"not ok {number} - {row.row()}\n#   " + "\n#   ".join(str(error).splitlines()[-20:]), flush=True)
        else:
            print(f"ok {number} - {row.row()}  # prompt at {took} ms", flush=True)
    print(f"{len(rows) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not rows else 0)


if __name__ == "__main__":
    main()
