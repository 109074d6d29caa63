#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks in QEMU: file systems are mounted, listed and read, FAT32 is written, models are found."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from disk_images import disk, fat_disk, fsck_exfat, tool
from harness import MODEL, PROMPT, Guest, Monitor, case, check, main, need


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


@case
def format_a_disk():
    """format: another answer than the disk's name changes nothing; then FAT32 becomes an exFAT disk that is written, and fsck agrees"""
    with tempfile.TemporaryDirectory() as folder:
        image = fat_disk(pathlib.Path(folder) / "disk.img", 64)
        before = image.read_bytes()
        with Guest(extra=disk(image, "virtio-blk-pci")) as guest:
            guest.expect(PROMPT, 60)
            guest.until("df", r"/disk/vda +fat32", 30)
            for answer, found in (("vdb", "nothing was changed"), ("vda", "/disk/vda is an empty exFAT disk now")):
                begin = len(guest.output)
                guest.send("format vda MODELS\r")
                guest.expect(r"Its name, to go on: ", 30, begin)
                check("on it: /disk/vda (fat32, 0.0 MiB of files)" in guest.output[begin:], guest.output[begin:])
                guest.send(answer + "\r")
                guest.expect(r"\nmarrow> ", 60, begin)
                check(found in guest.output[begin:], guest.output[begin:])
                if answer == "vdb":
                    check(image.read_bytes() == before, "the disk was written")
            for line in ("mkdir /disk/vda/kept", "report --quick /disk/vda/kept/report.txt"):
                text = guest.command_output(line, 60)
                check("error" not in text.lower(), text)
            text = guest.command_output("df; ls /disk/vda/kept")
            check(re.search(r"/disk/vda +exfat ", text) is not None and "report.txt" in text, text)
            check("no such disk" in guest.command_output("format vdx"), "a disk that is not there")
        fsck_exfat(image)


def damage(image: pathlib.Path, offset: int) -> None:
    with open(image, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


@case
def damaged_ext4():
    """a wrong checksum in the superblock, an image cut short, an empty disk: mount says why each cannot be mounted"""
    with tempfile.TemporaryDirectory() as folder:
        whole = pathlib.Path(folder) / "whole.img"
        subprocess.run(["truncate", "-s", "16M", whole], check=True)
        subprocess.run([tool("mkfs.ext4"), "-q", "-F", whole], check=True)
        images = [pathlib.Path(folder) / f"{i}.img" for i in range(3)]
        for image in images:
            shutil.copy(whole, image)
        damage(images[0], 1024 + 0x78)
        os.truncate(images[1], 8 << 20)
        images[2].write_bytes(bytes(8 << 20))
        extra = [word for image in images for word in ("-drive", f"file={image},format=raw,if=virtio")]
        with Guest(extra=extra) as guest:
            guest.expect(PROMPT, 60)
            text = guest.command_output("mount", 30)
            for name, why in (("vda", "the checksum of the superblock is wrong"), ("vdb", "the image was cut short"),
                              ("vdc", "no file system that can be read")):
                check(re.search(rf"/disk/{name} +- +.*{why}", text) is not None, text)


@case
def stick_that_is_full_and_pulled_out():
    """a copy that does not fit changes nothing; a stick pulled out is unmounted, and mounted again when put back"""
    with tempfile.TemporaryDirectory() as folder:
        stick, big = pathlib.Path(folder) / "stick.img", pathlib.Path(folder) / "big.img"
        note, monitor = pathlib.Path(folder) / "note.txt", Monitor(f"{folder}/monitor")
        note.write_text("kept\n")
        for image, size, file in ((stick, "40M", note), (big, "80M", stick)):
            subprocess.run(["truncate", "-s", size, image], check=True)
            subprocess.run([tool("mkfs.vfat"), "-F", "32", "-s", "1", image], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([tool("mcopy"), "-i", image, file, "::/" + file.name], check=True)
        drive = f"file={stick},format=raw,if=none,file.locking=off,id="
        extra = disk(big, "virtio-blk-pci") + ["-device", "qemu-xhci,id=usb", "-drive", drive + "s1", "-device",
                                               "usb-storage,bus=usb.0,drive=s1,id=stick", "-monitor",
                                               f"unix:{folder}/monitor,server=on,wait=off"]
        with Guest(extra=extra) as guest:
            guest.expect(PROMPT, 60)
            for target in ("note.txt", "new.img"):
                text = guest.command_output(f"cp /disk/vda/stick.img /disk/sda/{target}", 60)
                check("nothing was changed" in text and "the disk is full" in text, text)
            text = guest.command_output("ls /disk/sda; cat /disk/sda/note.txt")
            check("1 entry" in text and "kept" in text, text)
            monitor.say("device_del stick")
            guest.until("mount", r"/disk/sda +- +the device is gone", 60)
            monitor.say(f"drive_add 0 {drive}s2")
            monitor.say("device_add usb-storage,bus=usb.0,drive=s2,id=again")
            guest.until("mount", r"/disk/sda +fat32 +read/write", 60)
            text = guest.command_output("cat /disk/sda/note.txt; cp /disk/sda/note.txt /disk/sda/second.txt")
            check("kept" in text and "5 bytes" in text, text)
            guest.send("poweroff\r")
            guest.wait_exit(20)
        verdict = subprocess.run([tool("fsck.vfat"), "-n", stick], capture_output=True, text=True, check=False)
        check(verdict.returncode == 0, verdict.stdout)


if __name__ == "__main__":
    main()
