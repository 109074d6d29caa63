#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots the ARM64 kernel in every kind of machine that QEMU's `virt` can be, and prints a table (`make test-arm-machines`).

arm_machines.py [SUBSTRING]   the table, or the rows whose description contains the words
arm_machines.py --all         every combination of interrupt controller, exception level, CPU, CPUs and memory by -kernel
A machine reaches its prompt, says what it is, and switches itself off. Where GRUB or U-Boot starts the kernel, it has the
default model as its initial ramdisk and goes on with a sentence. A row whose loader is not here is skipped and says what it needs.
"""
import dataclasses
import itertools
import pathlib
import re
import subprocess
import sys
import tempfile

import arm_loaders
from harness import PROMPT, ROOT, Guest, Hang, Skip, check, need
from qemu_test import MACHINES

ARM, X86 = MACHINES["aarch64"], MACHINES["x86_64"]
FIRMWARE = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
MEMORY = {"256M": "", "512M": "", "8G": "", "2G": ",highmem=off"}  # and what the board is told with it
IMAGE_MEMORY = ("256M", "8G", "2G")


@dataclasses.dataclass
class Machine:
    way: str = "image"  # image: -kernel; uefi: -kernel by EDK2; else a row of WAYS
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

    def boot(self) -> list[str]:
        """Returns QEMU's arguments without the medium."""
        kernel = ["-kernel", str(ARM.kernel)]
        if self.way == "image":
            return kernel
        if self.way not in WAYS:
            return ["-bios", FIRMWARE, *kernel]
        return ["-bios", str(WAYS[self.way].firmware()), *WAYS[self.way].device]


@dataclasses.dataclass(frozen=True)
class Way:
    """A start from a medium."""

    device: list[str]
    image: object  # makes the medium in a folder
    said: str = "from the image"  # by the command that the medium's options run
    firmware: object = lambda: FIRMWARE
    model: bool = False  # as initial ramdisk


def table() -> list[Machine]:
    """Every pair of two properties of a machine that is entered by -kernel; then the other ways in."""
    controllers, memories = tuple(itertools.product((2, 3), (1, 2))), IMAGE_MEMORY
    rows = [Machine("image", gic, level, cpu, (1, 2, 4)[(c + 2 * g) % 3], memories[(c + g) % 3])
            for g, (gic, level) in enumerate(controllers) for c, cpu in enumerate(("cortex-a57", "cortex-a72", "max"))]
    rows += [Machine("uefi", gic, level, cpu, 2, memory, tables) for tables in ("acpi", "fdt")
             for gic, level, cpu, memory in ((2, 1, "cortex-a57", "256M"), (2, 2, "max", "8G"), (3, 1, "max", "2G"), (3, 2, "cortex-a72", "256M"))]
    rows += [Machine(way, 3, level, "cortex-a72", 2, "256M", "acpi") for way, level in (("disk", 1), ("nvme", 2), ("stick", 1), ("cd", 2))]
    rows += [Machine("grub", 3, level, "cortex-a72", 2, "512M", tables) for level, tables in ((1, "acpi"), (2, "fdt"))]
    rows += [Machine("booti", gic, level, "cortex-a72", 2, "512M", "fdt") for gic, level in ((2, 1), (3, 2))]
    return rows + [Machine("u-boot", 3, level, "cortex-a72", 2, "512M", "fdt") for level in (1, 2)]


def every_image() -> list[Machine]:
    return [Machine("image", *row) for row in itertools.product((2, 3), (1, 2), ("cortex-a57", "cortex-a72", "max"), (1, 2, 4), IMAGE_MEMORY)]


def shared_image(folder: pathlib.Path) -> pathlib.Path:
    """Makes the image with both kernels and no model."""
    (folder / "marrow.cfg").write_text('run = "echo from the image"\n')
    subprocess.run(["scripts/create_iso.sh", "-t", "0", "-k", str(need(X86.kernel, "make kernel")), "-a", str(ARM.kernel),
                    "-c", folder / "marrow.cfg", "-o", folder / "marrow.iso"], cwd=ROOT, check=True, capture_output=True)
    return folder / "marrow.iso"


VIRTIO = ["-device", "virtio-blk-pci,drive=m,bootindex=0"]
WAYS = {
    "disk": Way(VIRTIO, shared_image),
    "nvme": Way(["-device", "nvme,serial=1,drive=m,bootindex=0"], shared_image),
    "stick": Way(["-device", "qemu-xhci", "-device", "usb-storage,drive=m"], shared_image),
    "cd": Way(["-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=m"], shared_image),
    "grub": Way(VIRTIO, arm_loaders.grub_disk, "from the loader", model=True),
    "booti": Way(VIRTIO, arm_loaders.booti_disk, "from the loader", arm_loaders.u_boot, model=True),
    "u-boot": Way(VIRTIO, shared_image, firmware=arm_loaders.u_boot),  # by its own UEFI
}


class Media:
    """Makes each medium once, in a folder that is removed at the end. One that fails leaves no mark on the next attempt."""

    def __init__(self, folder: str):
        self.folder, self.made = folder, {}

    def drive(self, way: Way) -> list[str]:
        if way.image not in self.made:
            self.made[way.image] = way.image(pathlib.Path(tempfile.mkdtemp(dir=self.folder)))
        return ["-drive", f"if=none,id=m,format=raw,readonly=on,file={self.made[way.image]}"]


def check_model(guest: Guest) -> None:
    """The ramdisk is the model that the loader was given, whole: it says what it says everywhere."""
    text = guest.command_output("models", 60)
    check("/boot/initrd" in text and "134.5 million parameters" in text, text)
    text = guest.command_output('llm "The capital of France is" 4', 150)
    check("Paris" in text, text)


def boots(machine: Machine, media: Media) -> str:
    """Boots it, and returns how long its boot function took by its own clock."""
    way = WAYS.get(machine.way)
    drive = media.drive(way) if way else []
    with Guest("log=info", kernel=ARM.kernel, board=machine.board(), cpu=machine.cpu, cpus=machine.cpus, memory=machine.memory,
               boot=machine.boot(), extra=drive) as guest:
        guest.expect(PROMPT, 90)
        guest.settle(0.5)
        check(way is None or f"\n{way.said}\n" in guest.output, f"the options of the medium were not read:\n{guest.output[-1500:]}")
        text = guest.command_output("cpu")
        check(f"{machine.cpus} present, {machine.cpus} working" in text and f"GICv{machine.gic}" in text, text)
        text = guest.command_output("firmware")
        check(f"from EL{machine.level}" in text, text)
        check(f"as {'ACPI' if machine.tables == 'acpi' else 'the device tree'} says: {machine.cpus} cpus" in text, text)
        found = int(re.search(r"^total +(\d+)", guest.command_output("mem"), re.M)[1])
        wanted = int(machine.memory[:-1]) * (1024 if machine.memory.endswith("G") else 1)
        check(wanted - 80 <= found <= wanted, f"{found} MiB of {machine.memory}")
        took = re.search(r"^prompt +([\d.]+) ms", guest.command_output("perf boot"), re.M)[1]
        if way is not None and way.model:
            check_model(guest)
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
    failed = skipped = 0
    with tempfile.TemporaryDirectory() as folder:
        media = Media(folder)
        for number, row in enumerate(rows, 1):
            try:
                took = boots(row, media)
            except Skip as reason:
                skipped += 1
                print(f"ok {number} - {row.row()}  # SKIP {reason}", flush=True)
            except (AssertionError, Hang, OSError, TypeError, subprocess.CalledProcessError) as error:
                failed += 1
                print(f"not ok {number} - {row.row()}\n#   " + "\n#   ".join(str(error).splitlines()[-20:]), flush=True)
            else:
                print(f"ok {number} - {row.row()}  # prompt at {took} ms", flush=True)
    print(f"{len(rows) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not rows else 0)


if __name__ == "__main__":
    main()
