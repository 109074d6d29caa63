#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The booted kernel computes the tiny models of tests/goldens/models from a disk; its logits have the hashes of bits.txt.

Usage: test_bits.py [CASE...]; BITS=all boots every CPU of the table, not one of each architecture; MODELS=gemma,quant
takes the models whose names contain one of these words.
"""
import os
import pathlib
import subprocess
import tempfile

from disk_images import fat_disk
from harness import CPU_FAST, PROMPT, ROOT, Guest, case, check, main, need
from qemu_test import MACHINES

TINY_FILES = ROOT / "build/host/tiny_files"
NAMES = [line.split()[0] for line in (ROOT / "tests/goldens/models/bits.txt").read_text().splitlines()]
CHOSEN = [name for name in NAMES if any(word in name for word in os.environ.get("MODELS", "").split(","))]

# CPU, CPUs, whether only BITS=all boots it
CPUS = {
    "x86_64": ((CPU_FAST, 2, False), ("max", 1, True), ("qemu64", 1, True)),
    "aarch64": (("cortex-a57", 2, False), ("max", 2, True), ("cortex-a72", 1, True)),
}


def disk_of_models(folder: pathlib.Path) -> pathlib.Path:
    """Returns a FAT32 disk with the chosen models in its folder `tiny`."""
    files = folder / "tiny"
    files.mkdir()
    subprocess.run([need(TINY_FILES, "make build/host/tiny_files"), files], cwd=ROOT, check=True, capture_output=True)
    for name in set(NAMES) - set(CHOSEN):
        (files / f"{name}.gguf").unlink()
    return fat_disk(folder / "disk.img", 128, files)


def has_the_bits(architecture: str) -> None:
    kernel = need(MACHINES[architecture].kernel, f"make kernel ARCH={architecture}")
    with tempfile.TemporaryDirectory() as folder:
        image = disk_of_models(pathlib.Path(folder))
        extra = ["-drive", f"file={image},format=raw,if=none,id=d,readonly=on", "-device", "virtio-blk-pci,drive=d"]
        for cpu, cpus, long in CPUS[architecture]:
            if long and os.environ.get("BITS") != "all":
                continue
            with Guest(kernel=kernel, cpu=cpu, cpus=cpus, memory="512M", extra=extra) as guest:
                guest.expect(PROMPT, 60)
                guest.until("mount", "/disk/vda", 30)
                begin = len(guest.output)
                guest.send("test models_bits\r")
                guest.expect(r"^\d+ passed, \d+ failed$", 600, begin)
                text = guest.output[begin:]
                check(f"#   {len(CHOSEN)} models\n" in text and "1 passed, 0 failed" in text, f"{cpu}: {text}")
                print(f"# {cpu}: {len(CHOSEN)} models, {guest.seconds():.0f} s")


@case
def on_arm64():
    """ARM64: all tiny models have their bits"""
    has_the_bits("aarch64")


@case
def on_x86_64():
    """x86_64: all tiny models have their bits"""
    has_the_bits("x86_64")


if __name__ == "__main__":
    main()
