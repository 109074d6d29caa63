# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks in QEMU and the tools that make them; disks of random bytes, and what the kernel's commands must say of them."""
import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import tempfile

from harness import Skip

MASK = (1 << 64) - 1
MIB = 1 << 20


def tool(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        raise Skip(f"{name} is missing: scripts/setup.sh test")
    return path


def disk(image: pathlib.Path, device: str) -> list[str]:
    return ["-drive", f"file={image},format=raw,if=none,id={device}0", "-device",
            f"{device},drive={device}0" + (",serial=1" if device == "nvme" else "")]


def fat_disk(image: pathlib.Path, mib: int, *files: pathlib.Path) -> pathlib.Path:
    """Makes a FAT32 disk with these files and folders in its root."""
    subprocess.run(["truncate", "-s", f"{mib}M", image], check=True)
    subprocess.run([tool("mkfs.vfat"), "-F", "32", image], check=True, capture_output=True)
    for file in files:
        subprocess.run([tool("mcopy"), "-s", "-i", image, file, "::/"], check=True)
    return image


def exfat_disk(image: pathlib.Path, mib: int) -> pathlib.Path:
    """Makes an empty exFAT disk."""
    subprocess.run(["truncate", "-s", f"{mib}M", image], check=True)
    subprocess.run([tool("mkfs.exfat"), image], check=True, capture_output=True)
    return image


def fsck_exfat(image: pathlib.Path) -> None:
    done = subprocess.run([tool("fsck.exfat"), "-n", image], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"fsck.exfat: {done.stdout}{done.stderr}")


def numbers(seed: int):
    """Splitmix64, as console/shell/commands_devices.cpp has it."""
    state = seed
    while True:
        state = (state + 0x9e3779b97f4a7c15) & MASK
        z = state
        z = ((z ^ z >> 30) * 0xbf58476d1ce4e5b9) & MASK
        z = ((z ^ z >> 27) * 0x94d049bb133111eb) & MASK
        yield z ^ z >> 31


def hash_of_reads(image: str, seed: int, count: int, block: int = 512, most: int = 32) -> str:
    """What `disk verify DISK SEED COUNT` must print for this image."""
    digest, rng = hashlib.sha256(), numbers(seed)
    blocks = os.path.getsize(image) // block
    with open(image, "rb") as file:
        for _ in range(count):
            first = next(rng) % blocks
            length = min(1 + next(rng) % most, blocks - first)
            file.seek(first * block)
            digest.update(file.read(length * block))
    return digest.hexdigest()


class Image:
    """A file of random bytes that is removed at the end."""

    def __init__(self, mib: int = 64):
        self.file = tempfile.NamedTemporaryFile(suffix=".img")
        rng = random.Random(mib)
        for _ in range(mib):
            self.file.write(rng.randbytes(MIB))
        self.file.flush()
        self.path = self.file.name

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        self.file.close()
