#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Kills QEMU at random times while an image is installed: install_cuts.py [COUNT=12] [SEED=1]

After each cut the disk has either no partition table, or a whole one with a boot volume that fsck.fat accepts and with
the kernel of the image. The same medium then starts again and installs again. At the end the disk starts by BIOS and UEFI.
"""
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import tiny_gguf
from disk_images import disk, tool
from harness import ROOT, Guest, check, small_iso
from machines import FIRMWARE
from test_install import CONFIG, MIB, empty_disk, install, judge, part_of, starts, to_prompt

MODEL = ROOT / "build/test/installed-large.gguf"
TOKENS = 6 * 4096  # of the vocabulary: a model of 6 MiB


def state_of(image: pathlib.Path, kernel: bytes, folder: str) -> str:
    """Says what a cut has left, and checks that it is nothing half."""
    with image.open("rb") as file:
        sector = file.read(512)
    if sector == bytes(512):
        return "empty"
    text = subprocess.run([tool("sgdisk"), "-v", image], capture_output=True, text=True, check=False).stdout
    check("No problems found" in text, text)
    boot = part_of(image, 2, folder)
    done = subprocess.run([tool("fsck.fat"), "-n", boot], capture_output=True, text=True, check=False)
    check(done.returncode == 0, done.stdout)
    there = pathlib.Path(folder) / "marrow.elf"
    subprocess.run([tool("mcopy"), "-n", "-o", "-i", boot, "::/boot/marrow.elf", there], check=True)
    check(there.read_bytes() == kernel, "the kernel on the disk is another one")
    return "boots"


def begin(guest: Guest) -> None:
    to_prompt(guest, 120)
    guest.until("lsblk", "nvme0n1", 60)
    guest.until("mount", r"iso9660", 60)


def kernel_of(iso: pathlib.Path, folder: str) -> bytes:
    kernel = pathlib.Path(folder) / "kernel"
    subprocess.run([tool("xorriso"), "-osirrox", "on", "-indev", iso, "-extract", "/boot/marrow.elf", kernel], check=True,
                   capture_output=True)
    return kernel.read_bytes()


def main() -> None:
    words = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    count = int(next((word for word in sys.argv[1:] if "=" not in word), "12"))
    chance = random.Random(int(words.get("SEED", "1")))
    with tempfile.TemporaryDirectory() as folder:
        image, model = empty_disk(folder, 192), tiny_gguf.write(MODEL, TOKENS)
        iso = small_iso("install-cuts", CONFIG, model)
        kernel, left = kernel_of(iso, folder), {}
        with Guest(iso=iso, extra=disk(image, "nvme")) as guest:
            begin(guest)
            start = time.monotonic()
            text = install(guest, "nvme0n1")
            whole = time.monotonic() - start
            check("nvme0n1 is complete" in text, text)
        print(f"an installation takes {whole:.1f} s", flush=True)
        for number in range(count):
            with image.open("r+b") as file:  # a sector that no cut leaves: whatever is found was written by this installation
                file.write(bytes(MIB))
            with Guest(iso=iso, extra=disk(image, "nvme")) as guest:
                begin(guest)
                guest.send("install nvme0n1\r")
                guest.expect(r"Its name, to go on: ", 60)
                guest.send("nvme0n1\r")
                cut = chance.uniform(0, whole)
                guest.settle(cut)
            state = state_of(image, kernel, folder)
            left[state] = left.get(state, 0) + 1
            print(f"ok {number + 1} - cut after {cut:.2f} s: {state}", flush=True)
        with Guest(iso=iso, extra=disk(image, "nvme")) as guest:
            begin(guest)
            text = install(guest, "nvme0n1")
            check("nvme0n1 is complete" in text, text)
        judge(image, folder)
        for firmware in FIRMWARE:
            starts(firmware, image, "nvme", model.stem)
    print(f"{count} cuts, of which the disk was " + ", ".join(f"{state}: {times}" for state, times in sorted(left.items())))
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
