#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An image is installed on an empty disk, which then starts without it, by BIOS and by UEFI, and answers with its model.

cuts.py kills QEMU at random times during installations.
"""
import pathlib
import re
import subprocess
import tempfile

import tiny_gguf
from disk_images import disk, fsck_exfat, tool
from harness import PROMPT, ROOT, TWIN, Guest, case, check, main, small_iso, to_prompt
from machines import FIRMWARE

MIB = 1 << 20
CONFIG = "log=info\nnet=off\n"
MODEL = ROOT / "build/test/installed.gguf"


def empty_disk(folder: str, mib: int, name: str = "disk.img") -> pathlib.Path:
    image = pathlib.Path(folder) / name
    subprocess.run(["truncate", "-s", f"{mib}M", image], check=True)
    return image


def install(guest: Guest, name: str, answer: str | None = None) -> str:
    """Types `install NAME` and the consent; returns what the command has said."""
    begin = len(guest.output)
    guest.send(f"install {name}\r")
    guest.expect(r"Its name, to go on: |\nmarrow> ", 60, begin)
    if "Its name, to go on: " in guest.output[begin:]:
        guest.send((name if answer is None else answer) + "\r")
    guest.expect(r"\nmarrow> ", 120, begin)
    return guest.output[begin:]


def part_of(image: pathlib.Path, number: int, folder: str) -> pathlib.Path:
    """Copies a partition out of an image."""
    text = subprocess.run([tool("sgdisk"), "-i", str(number), image], capture_output=True, text=True, check=True).stdout
    first, last = (int(re.search(rf"{word} sector: (\d+)", text)[1]) for word in ("First", "Last"))
    part = pathlib.Path(folder) / f"part{number}.img"
    with image.open("rb") as source, part.open("wb") as target:
        source.seek(first * 512)
        target.write(source.read((last + 1 - first) * 512))
    return part


def judge(image: pathlib.Path, folder: str) -> None:
    """sgdisk and both fscks find nothing, and the kernel's copy is the one of the image."""
    text = subprocess.run([tool("sgdisk"), "-v", image], capture_output=True, text=True, check=True).stdout
    check("No problems found" in text, text)
    boot, data = part_of(image, 2, folder), part_of(image, 4, folder)
    done = subprocess.run([tool("fsck.fat"), "-n", boot], capture_output=True, text=True, check=False)
    check(done.returncode == 0, done.stdout)
    fsck_exfat(data)


def starts(firmware: str, image: pathlib.Path, device: str, model: str) -> None:
    """The disk starts without the image, finds its model on the data partition, and answers."""
    with Guest(boot=disk(image, device), extra=FIRMWARE[firmware]) as guest:
        check(to_prompt(guest, 150), guest.output)  # it would not talk without a model
        text = guest.command_output("models", 60)
        check(re.search(rf"/disk/\w+4/models/{model}/1/model.gguf", text) is not None, text)
        check("llm: done" in guest.command_output("llm hello 4", 60), guest.output[-2000:])


@case
def from_the_image_to_a_disk():
    """the image installs on NVMe; the disk starts by SeaBIOS and by OVMF, finds its model and answers"""
    with tempfile.TemporaryDirectory() as folder:
        image = empty_disk(folder, 160)
        model = tiny_gguf.write(MODEL)
        iso = small_iso("install", CONFIG, model)
        with Guest(iso=iso, extra=disk(image, "nvme")) as guest:
            to_prompt(guest, 120)
            guest.until("lsblk", "nvme0n1", 60)
            guest.until("mount", r"iso9660", 60)
            text = install(guest, "nvme0n1", "nvme0n2")
            check("nothing was changed" in text and image.read_bytes() == bytes(160 * MIB), text)
            text = install(guest, "nvme0n1")
            check("is complete and verified" in text and "nvme0n1 is complete" in text, text)
        judge(image, folder)
        for firmware in FIRMWARE:
            starts(firmware, image, "nvme", model.stem)


@case
def image_by_the_twin():
    """the twin makes the image of an installed disk, never over a file; it starts by SeaBIOS and answers"""
    with tempfile.TemporaryDirectory() as folder:
        model, image = tiny_gguf.write(MODEL), pathlib.Path(folder) / "made.img"
        iso = small_iso("install-twin", CONFIG, model)

        def twin(size: int, status: int) -> str:
            words = [TWIN, f"run=install --to-image {image} --from {iso} --size {size}; poweroff"]
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
            check(done.returncode == status, f"status {done.returncode}\n{done.stdout}{done.stderr}")
            return done.stdout + done.stderr

        check("the image is too small" in twin(40, 1) and not image.exists(), "a small image")
        check("made.img is complete: 160 MiB" in twin(160, 0), "no image")
        check("is there already" in twin(160, 1), "an image was overwritten")
        judge(image, folder)
        starts("seabios", image, "virtio-blk-pci", model.stem)


@case
def disks_that_are_refused():
    """a disk that is too small is refused with the numbers, and so is the stick that Marrow was started from"""
    with tempfile.TemporaryDirectory() as folder:
        small = empty_disk(folder, 40)
        iso = small_iso("install-small", CONFIG)
        stick = pathlib.Path(folder) / "stick.img"
        stick.write_bytes(iso.read_bytes())
        boot = ["-device", "qemu-xhci", "-drive", f"file={stick},format=raw,if=none,id=stick",
                "-device", "usb-storage,drive=stick,bootindex=0"]
        with Guest(boot=boot, extra=disk(small, "virtio-blk-pci")) as guest:
            guest.expect(PROMPT, 120)
            guest.until("mount", r"iso9660", 60)
            text = install(guest, "vda")
            check(re.search(r"vda has 40.0 MiB; this image needs \d+\.\d MiB", text) is not None, text)
            check("the disk is too small" in text and small.read_bytes() == bytes(40 * MIB), text)
            text = install(guest, "sda")
            check("Marrow was started from this disk" in text, text)
            check("no such disk" in install(guest, "vdx"), guest.output[-500:])
        check(stick.read_bytes() == iso.read_bytes(), "the stick was written")


@case
def without_an_image():
    """a kernel that no image has started says from what one can install"""
    with tempfile.TemporaryDirectory() as folder:
        with Guest(extra=disk(empty_disk(folder, 160), "virtio-blk-pci")) as guest:
            guest.expect(PROMPT, 60)
            guest.until("lsblk", "vda", 60)
            check("make one with create_iso.sh" in install(guest, "vda"), guest.output[-1000:])


if __name__ == "__main__":
    main()
