#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The ARM64 kernel under EDK2 in QEMU's `virt` machine: started by the firmware itself, described by ACPI or a device tree,
and from the image that both architectures share."""
import pathlib
import subprocess

from harness import MODEL, PROMPT, ROOT, Guest, case, check, main, need
from qemu_test import MACHINES
from screen import ScreenGuest

ARM = MACHINES["aarch64"]
FIRMWARE = pathlib.Path("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd")
X86 = MACHINES["x86_64"].kernel


def guest(kind=Guest, **options) -> Guest:
    kernel = need(ARM.kernel, "make kernel ARCH=aarch64")
    bios = ["-bios", str(need(FIRMWARE, "scripts/setup.sh arm"))]
    boot = bios + options.pop("medium", ["-kernel", str(kernel)])
    return kind(kernel=kernel, boot=boot, **{"memory": "512M", "cpus": 2, **options})


@case
def by_the_firmware():
    """-kernel through UEFI, from ACPI and from a device tree, EL1 and EL2: options, ramdisk, CPUs, PCI messages"""
    for board in ("virt,gic-version=3", "virt,gic-version=2,acpi=off", "virt,gic-version=3,virtualization=on"):
        disk = ["-drive", f"if=none,id=d,format=raw,readonly=on,file={ARM.kernel}", "-device", "virtio-blk-pci,drive=d"]
        with guest(board=board, append="log=info", model=ROOT / "COPYING", extra=disk) as machine:
            machine.expect(PROMPT, 60)
            machine.until("drivers", "vda .*ready", 30)
            check("2 present, 2 working" in machine.command_output("cpu"), f"{board}: {machine.output}")
            check("GNU GENERAL PUBLIC LICENSE" in machine.command_output("cat /boot/initrd"), f"{board}: {machine.output[-500:]}")
            check("blocks from 0" in machine.command_output("disk check vda 0 1000", 60), board)
            check("unknown option" not in machine.output, machine.output)
            machine.send("poweroff\r")
            check(machine.wait_exit(30) == 0, f"{board}: the exit status of a power-off")


def shared_image() -> pathlib.Path:
    """The image with both kernels, the default model once, and no command of its own."""
    need(X86, "make kernel")
    folder = ROOT / "build/test"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "both.cfg").write_text('run = "echo from the image"\n')
    subprocess.run(["scripts/create_iso.sh", "-t", "0", "-a", str(need(ARM.kernel, "make kernel ARCH=aarch64")), "-c", folder / "both.cfg",
                    "-m", str(need(MODEL, "make model")), "-o", folder / "both.iso"], cwd=ROOT, check=True, capture_output=True)
    return folder / "both.iso"


@case
def from_the_shared_image():
    """disk, stick and CD: BOOTAA64.EFI starts with marrow.cfg, and the drivers find the model on the medium"""
    drive = ["-drive", f"if=none,id=m,format=raw,readonly=on,file={shared_image()}"]
    for name, device in (("disk", ["-device", "virtio-blk-pci,drive=m,bootindex=0"]),
                         ("stick", ["-device", "qemu-xhci", "-device", "usb-storage,drive=m"]),
                         ("CD", ["-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=m"])):
        with guest(medium=drive + device) as machine:
            machine.expect("^from the image$", 90)
            machine.expect(PROMPT, 30)
            machine.until("models", "(?i)smollm2", 60)
            print(f"# {name}: {machine.seconds():.0f} s to the list of models")


@case
def a_screen_by_the_firmware():
    """the framebuffer of UEFI's graphics protocol shows the console, typed on a USB keyboard; one that only copies gets none"""
    keyboard = ["-device", "qemu-xhci,id=usb", "-device", "usb-kbd,bus=usb.0"]
    with guest(ScreenGuest, extra=["-device", "ramfb", *keyboard]) as machine:
        machine.see(r"^marrow>$", 120)
        machine.until("dmesg", "types into the console", 60)
        machine.type("echo seen\n")
        machine.see(r"^marrow> echo seen\nseen\nmarrow>$", 60)
    with guest(ScreenGuest, extra=["-device", "virtio-gpu-pci", *keyboard]) as machine:
        machine.expect(PROMPT, 120)
        check("screen: no framebuffer" in machine.command_output("dmesg"), machine.output)
        machine.send("poweroff\r")
        check(machine.wait_exit(30) == 0, "the exit status of a power-off")


if __name__ == "__main__":
    main()
