# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks from which a loader of another project starts the ARM64 kernel with a model as its initial ramdisk."""
import pathlib
import shutil
import struct
import subprocess

from disk_images import MIB, fat_disk, tool
from harness import MODEL, Skip, need
from qemu_test import MACHINES
from unpack_debian import Missing, unpacked

ARM = MACHINES["aarch64"]
U_BOOT = pathlib.Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
# Both loaders pass the rest of the line on; a value with spaces has to arrive as one.
OPTIONS = 'log=info run="echo from the loader"'


def u_boot() -> pathlib.Path:
    return need(U_BOOT, "scripts/setup.sh arm")


def boot_disk(folder: pathlib.Path, *files: pathlib.Path) -> pathlib.Path:
    """Returns a disk with one FAT32 partition of these files: U-Boot wants a table of partitions (here an MBR)."""
    volume = fat_disk(folder / "volume.img", 192, *files, ARM.kernel, need(MODEL, "make model"))
    block, disk = 512, folder / "disk.img"
    is_bootable, fat32 = 0x80, 0x0c
    row = struct.pack("<B3sB3sII", is_bootable, b"\xfe\xff\xff", fat32, b"\xfe\xff\xff", MIB // block, volume.stat().st_size // block)
    with disk.open("wb") as out, volume.open("rb") as data:
        out.write((bytes(446) + row + bytes(48) + b"\x55\xaa").ljust(MIB, b"\0"))
        shutil.copyfileobj(data, out, MIB)
    volume.unlink()
    return disk


def grub_disk(folder: pathlib.Path) -> pathlib.Path:
    """GRUB for UEFI, which reads its grub.cfg beside the kernel: `linux` and `initrd`."""
    try:
        modules = unpacked("grub-efi-arm64-bin", "arm64") / "usr/lib/grub/arm64-efi"
    except Missing as reason:
        raise Skip(f"GRUB for ARM64: {reason}") from reason
    (folder / "boot/grub").mkdir(parents=True)
    (folder / "boot/grub/grub.cfg").write_text(f"linux /{ARM.kernel.name} {OPTIONS}\ninitrd /{MODEL.name}\nboot\n")
    (folder / "EFI/BOOT").mkdir(parents=True)
    subprocess.run([tool("grub-mkimage"), "-O", "arm64-efi", "-d", modules, "-p", "/boot/grub", "-o", folder / "EFI/BOOT/BOOTAA64.EFI",
                    "fat", "part_msdos", "normal", "linux"], check=True)
    return boot_disk(folder, folder / "EFI", folder / "boot")


def booti_disk(folder: pathlib.Path) -> pathlib.Path:
    """A disk that U-Boot starts by its extlinux.conf, which it turns into `booti` with the board's device tree."""
    (folder / "extlinux").mkdir()
    (folder / "extlinux/extlinux.conf").write_text(
        f"DEFAULT marrow\nLABEL marrow\n  KERNEL /{ARM.kernel.name}\n  INITRD /{MODEL.name}\n  APPEND {OPTIONS}\n")
    return boot_disk(folder, folder / "extlinux")
