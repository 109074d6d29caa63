#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks in QEMU: file systems are mounted, listed and read, FAT32 is written, models are found."""
import pathlib
import re
import shutil
import subprocess
import tempfile

from harness import MODEL, PROMPT, Guest, Skip, case, check, main, need


def tool(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        raise Skip(f"{name} is missing: scripts/setup.sh test")
    return path


def disk(image: pathlib.Path, device: str) -> list[str]:
    return ["-drive", f"file={image},format=raw,if=none,id={device}0", "-device",
            f"{device},drive={device}0" + (",serial=1" if device == "nvme" else "")]


@case
def model_on_ext4():
    """virtio-blk with ext4: models lists /models/x.gguf, ls and cat read the disk"""
    need(MODEL, "make model")
    with tempfile.TemporaryDirectory() as folder:
        root, image = pathlib.Path(folder) / "root", pathlib.Path(folder) / "disk.img"
        (root / "models").mkdir(parents=True)
        shutil.copy(MODEL, root / "models/x.gguf")
        (root / "hello.txt").write_text("read from ext4\n")
        subprocess.run(["truncate", "-s", "256M", image], check=True)
        subprocess.run([tool("mkfs.ext4"), "-q", "-F", "-d", root, image], check=True)
        with Guest(memory="1G", extra=disk(image, "virtio-blk-pci")) as guest:
            guest.expect(PROMPT, 60)
            text = guest.command_output("models", 30)
            check(re.search(r"^ +x\n +llama, .* MiB, .*\n +/disk/vda/models/x\.gguf", text, re.M) is not None, text)
            text = guest.command_output("ls /disk/vda/models")
            check(re.search(rf"{MODEL.stat().st_size} x\.gguf", text) is not None, text)
            text = guest.command_output("cat /disk/vda/hello.txt")
            check("read from ext4" in text, text)
            text = guest.command_output("cat /disk/vda/models/x.gguf")
            check("not text" in text, text)


@case
def fat_on_nvme():
    """NVMe with FAT32: files are copied, removed and read back; fsck finds nothing"""
    with tempfile.TemporaryDirectory() as folder:
        image, file = pathlib.Path(folder) / "disk.img", pathlib.Path(folder) / "a file.txt"
        file.write_text("some words\n" * 1000)
        subprocess.run(["truncate", "-s", "64M", image], check=True)
        subprocess.run([tool("mkfs.vfat"), "-F", "32", image], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([tool("mcopy"), "-i", image, file, "::/first.txt"], check=True)
        with Guest(extra=disk(image, "nvme")) as guest:
            guest.expect(PROMPT, 60)
            text = guest.command_output("df", 30)
            for _ in range(20):  # the nvme driver scans for namespaces after its start
                if "nvme0n1" not in text:
                    guest.pump(1)
                    text = guest.command_output("df", 30)
            check(re.search(r"/disk/nvme0n1 +fat32 ", text) is not None, text)
            for line in ("mkdir /disk/nvme0n1/kept", "cp /disk/nvme0n1/first.txt /disk/nvme0n1/kept/second.txt",
                         "rm /disk/nvme0n1/first.txt"):
                text = guest.command_output(line)
                check("error" not in text.lower(), text)
            text = guest.command_output("ls /disk/nvme0n1/kept")
            check("11000 second.txt" in text, text)
        back = pathlib.Path(folder) / "back.txt"
        subprocess.run([tool("mcopy"), "-i", image, "::/kept/second.txt", back], check=True)
        check(back.read_bytes() == file.read_bytes(), "other bytes came back")
        verdict = subprocess.run([tool("fsck.vfat"), "-n", image], capture_output=True, text=True, check=False)
        check(verdict.returncode == 0, verdict.stdout)


if __name__ == "__main__":
    main()
