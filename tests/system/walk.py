#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The walk from nothing, as a person without a network makes it: a stick with the image, an empty disk, a stick with a model.

Usage: walk.py [--firmware seabios|ovmf] [--pictures FOLDER]

The machine has a PS/2 keyboard and a screen and no serial line. The image, which has no model, starts from a USB stick;
`install` puts it on an NVMe disk; a second stick with exFAT is plugged in, and `model import` copies its model; after
power-off the machine starts without sticks, and its chat answers. Each step's time is printed; an emulated machine is
slow, so none is judged. --pictures keeps the screen as PNG at some steps (wiki/Quickstart.md shows them).
"""
import argparse
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time
import zlib

from harness import FAILURES, MODEL, PATIENCE, ROOT, TWIN, check, need
from machines import FIRMWARE
from screen import ScreenGuest
from test_install import MIB, empty_disk, part_of

PICTURE_MOST = 40_000  # bytes of one


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(ppm: bytes) -> bytes:
    """Returns a picture of the screen as PNG with a palette, cut off below the last line that has another colour than black."""
    _, size, _, pixels = ppm.split(b"\n", 3)
    width, height = map(int, size.split())
    rows = [pixels[y * width * 3:(y + 1) * width * 3] for y in range(height)]
    used = max((y for y, row in enumerate(rows) if any(row)), default=0)
    rows = rows[:min(height, (used // 16 + 2) * 16)]
    colours = sorted({row[x:x + 3] for row in rows for x in range(0, width * 3, 3)})
    check(len(colours) <= 256, f"{len(colours)} colours on the screen")
    bits = next(bits for bits in (1, 2, 4, 8) if len(colours) <= 1 << bits)
    number, each = {colour: i for i, colour in enumerate(colours)}, 8 // bits
    lines = b""
    for row in rows:
        cells = [number[row[x:x + 3]] for x in range(0, width * 3, 3)] + [0] * (-width % each)
        packed = bytes(sum(cell << bits * (each - 1 - k) for k, cell in enumerate(cells[i:i + each])) for i in range(0, len(cells), each))
        lines += b"\0" + packed
    head = struct.pack(">IIBBBBB", width, len(rows), bits, 3, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"PLTE", b"".join(colours)) + chunk(b"IDAT", zlib.compress(lines, 9))
            + chunk(b"IEND", b""))


class Walk:
    """One machine from the empty disk to the answer."""

    def __init__(self, firmware: str, folder: str, pictures: pathlib.Path | None):
        self.firmware, self.folder, self.pictures = firmware, pathlib.Path(folder), pictures
        self.disk = empty_disk(folder, 512)
        self.begin = time.monotonic()

    def step(self, what: str) -> None:
        now = time.monotonic()
        print(f"# {self.firmware}: {now - self.begin:6.1f} s  {what}", flush=True)
        self.begin = now

    def keep(self, guest: ScreenGuest, name: str) -> None:
        if self.pictures is None:
            return
        png = png_of(guest.picture())
        check(len(png) <= PICTURE_MOST, f"{name}.png has {len(png)} bytes")
        self.pictures.mkdir(parents=True, exist_ok=True)
        (self.pictures / f"{name}.png").write_bytes(png)

    def image(self) -> pathlib.Path:
        """Returns the image as `make iso MODEL=` makes it: no model. Its menu waits where it is read, and then Enter is typed."""
        iso = self.folder / "stick.img"
        timeout = "20" if self.firmware == "seabios" else "0"
        subprocess.run(["scripts/create_iso.sh", "-t", timeout, "-o", iso], cwd=ROOT, check=True, capture_output=True)
        return iso

    def model_stick(self) -> pathlib.Path:
        """Returns a stick that is one exFAT volume with the model: the data volume of an image that the twin makes."""
        iso, whole = self.folder / "model.iso", self.folder / "model.img"
        subprocess.run(["scripts/create_iso.sh", "-m", str(need(MODEL, "make model")), "-o", iso], cwd=ROOT, check=True, capture_output=True)
        words = [TWIN, f"run=install --to-image {whole} --from {iso} --size 400; poweroff"]
        subprocess.run(words, stdin=subprocess.DEVNULL, check=True, capture_output=True)
        stick = part_of(whole, 4, str(self.folder))
        for path in (iso, whole):
            path.unlink()
        return stick

    def machine(self, *more: str) -> ScreenGuest:
        boot = ["-device", "qemu-xhci,id=usb", "-drive", f"file={self.disk},format=raw,if=none,id=disk",
                "-device", "nvme,drive=disk,serial=1"]
        return ScreenGuest(boot=boot, memory="1G", serial="none", extra=[*FIRMWARE[self.firmware], *more])

    def first_start(self, iso: pathlib.Path, models: pathlib.Path) -> None:
        stick = ["-drive", f"file={iso},format=raw,if=none,id=image,readonly=on",
                 "-device", "usb-storage,bus=usb.0,drive=image,id=first,bootindex=0"]
        with self.machine(*stick) as guest:
            if self.firmware == "seabios":  # OVMF draws the menu with a font of its own
                guest.see(r"Power off", 120, guest.text_mode)
                guest.pump(1)  # the frame is drawn behind it
                self.keep(guest, "menu")
                guest.type("\n")
            guest.see(r"^marrow>$", 240)
            self.step("the image's stick has started: prompt")
            guest.type("lsblk\n")
            guest.see(r"nvme0n1", 60)
            guest.see(r"^marrow>$", 60)
            guest.type("install nvme0n1\n")
            guest.see(r"Its name, to go on:", 120)
            guest.type("nvme0n1\n")
            guest.see(r"nvme0n1 is complete", 400)
            guest.see(r"^marrow>$", 60)
            self.keep(guest, "install")
            self.step("installed")
            guest.ask(f"drive_add 0 file={models},format=raw,if=none,id=models")
            guest.ask("device_add usb-storage,bus=usb.0,drive=models,id=second")
            self.until(guest, "mount", r"/disk/sd\w+ +exfat")
            guest.type("clear; models\n")
            guest.see(r"SmolLM2", 60)
            self.step("the second stick is mounted")
            guest.type("model import SmolLM2\n")
            guest.see(r"is complete and verified", 900)
            guest.see(r"^marrow>$", 60)
            self.keep(guest, "import")
            self.step("the model is copied and read back")
            guest.switch_off()
            check(guest.wait_exit(60) in (0, 1), "power-off")
        self.step("switched off")

    def until(self, guest: ScreenGuest, command: str, pattern: str) -> None:
        """Repeats a command until the screen has the pattern."""
        end = time.monotonic() + 60 * PATIENCE
        while not re.search(pattern, "\n".join(guest.screen())):
            check(time.monotonic() < end, f"{command} never said {pattern!r}:\n" + "\n".join(guest.screen()))
            guest.type(f"clear; {command}\n")
            guest.pump(2)

    def second_start(self) -> None:
        with self.machine() as guest:
            guest.see(r"^you>$", 240)
            self.step("the disk has started by itself: conversation")
            guest.type("What is the capital of France?\n")
            guest.see(r"Paris", 240)
            guest.see(r"^you>$", 240)
            self.keep(guest, "chat")
            self.step("answered")
            guest.type("/exit\n")
            guest.see(r"^marrow>$", 60)
            guest.switch_off()
            check(guest.wait_exit(60) in (0, 1), "power-off")

    def run(self) -> None:
        iso, models = self.image(), self.model_stick()
        check(self.disk.read_bytes() == bytes(512 * MIB), "the disk is not empty")
        self.step("both sticks are made")
        self.first_start(iso, models)
        self.second_start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--firmware", choices=FIRMWARE)
    parser.add_argument("--pictures", type=pathlib.Path)
    words = parser.parse_args()
    failed = 0
    for firmware in [words.firmware] if words.firmware else FIRMWARE:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                Walk(firmware, folder, words.pictures).run()
                print(f"ok - {firmware}: from an empty disk to an answer in {time.monotonic() - begin:.0f} s", flush=True)
            except FAILURES as error:
                failed += 1
                print(f"not ok - {firmware}\n#   " + str(error).replace("\n", "\n#   "), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
