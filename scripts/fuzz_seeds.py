#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes small images with real tools, from which the file-system fuzzers start: fuzz_seeds.py NAME FOLDER

Random bytes do not become an ext4. Without the tools (scripts/setup.sh test) there are no seeds.
"""
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

TREE = "for i in 1 2 3; do echo text $i > tree/$i; done; mkdir -p 'tree/a folder/deeper'; ln -s ../1 'tree/a folder/link'; " \
       "head -c 9000 /dev/zero | tr '\\0' x > 'tree/a folder/deeper/a longer näme.bin'; "
EXT4 = "truncate -s 192K image && mkfs.ext4 -q -F -b 1024 -N 32 -O ^has_journal,^resize_inode,{} -d tree image"
FAT = "truncate -s 128K image && mkfs.vfat -F 12 {} image && mcopy -s -i image tree/[123a]* ::/"
ISO = "xorriso -as mkisofs -quiet -no-pad {} -o image tree"
RECIPES = {
    "ext4": {"plain": EXT4.format("^metadata_csum"), "sums": EXT4.format("metadata_csum,64bit"),
             "maps": EXT4.format("^metadata_csum,^extents,^64bit"), "inline": EXT4.format("^metadata_csum,inline_data"),
             "meta": EXT4.format("^metadata_csum,meta_bg")},
    "fat": {"12": FAT.format("-s 1 -r 64"), "12c": FAT.format("-s 4 -r 16"),
            # mtools fills no FAT32 as small as this: it is empty
            "32": "truncate -s 600K image && mkfs.vfat -F 32 -s 1 -f 1 image"},
    "iso9660": {"rock": ISO.format("-R"), "plain": ISO.format("-l")},
}


def exfat_sum(data: bytes, bits: int, left_out: tuple[int, ...] = ()) -> int:
    total = 0
    for at, byte in enumerate(data):
        if at not in left_out:
            total = ((total << (bits - 1) | total >> 1) + byte) & ((1 << bits) - 1)
    return total


def exfat_set(name: str, folder: bool, first: int, size: int, contiguous: bool) -> bytes:
    units = name.encode("utf-16-le")
    names = [b"\xc1\0" + units[at:at + 30].ljust(30, b"\0") for at in range(0, len(units), 30)]
    moment = 0x21 << 16  # 1 January 1980
    head = struct.pack("<BBHHHIII12x", 0x85, 1 + len(names), 0, 0x10 if folder else 0x20, 0, moment, moment, moment)
    stream = struct.pack("<BBBBHHQIIQ", 0xc0, 3 if contiguous else 1, 0, len(name),
                         exfat_sum(name.upper().encode("utf-16-le"), 16), 0, size, 0, first, size)
    whole = bytearray(head + stream + b"".join(names))
    struct.pack_into("<H", whole, 2, exfat_sum(whole, 16, (2, 3)))
    return bytes(whole)


def exfat_seed(dirty: bool) -> bytes:
    """What the target puts behind its boot regions: 120 clusters of a sector, one sector of table, the root in cluster 4."""
    clusters, end = {}, 0xffffffff
    upcase = struct.pack("<30H", 0xffff, 97, *range(65, 91), 0xffff, 0x10000 - 123)
    clusters[3] = upcase
    clusters[4] = struct.pack("<B19xIQ", 0x81, 2, 15) + struct.pack("<B3xI12xIQ", 0x82, exfat_sum(upcase, 32), 3, len(upcase)) + \
        exfat_set("a file.bin", False, 5, 900, True) + exfat_set("chained", False, 7, 1000, False) + \
        exfat_set("folder", True, 9, 512, True)
    clusters[5] = clusters[6] = clusters[7] = clusters[10] = b"x" * 512
    clusters[9] = exfat_set("inside", False, 0, 0, False)
    table = [0xfffffff8, end] + [0] * 126
    for cluster, following in {2: end, 3: end, 4: end, 7: 10, 10: end}.items():
        table[cluster] = following
    clusters[2] = bytes([0b11111111, 0b00000001]).ljust(15, b"\0")
    heap = b"".join(clusters.get(c, b"").ljust(512, b"\0") for c in range(2, 122))
    return struct.pack("<BBHBBBB", 0, 0, 120, 2, 2 if dirty else 0, 0, 0) + struct.pack("<128I", *table) + heap


def main() -> None:
    name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if name == "exfat":
        folder.mkdir(parents=True, exist_ok=True)
        for dirty in (False, True):
            (folder / f"seed-exfat-{'dirty' if dirty else 'clean'}").write_bytes(exfat_seed(dirty))
        return
    if name not in RECIPES:
        return
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    os.environ["LC_ALL"] = "C.UTF-8"
    if any(shutil.which(tool) is None for tool in ("mkfs.ext4", "mkfs.vfat", "mcopy", "xorriso")):
        print(f"fuzz_seeds: the tools for {name} are missing, so it starts without seeds", file=sys.stderr)
        return
    folder.mkdir(parents=True, exist_ok=True)
    for variant, command in RECIPES[name].items():
        out = folder / f"seed-{name}-{variant}"
        if out.exists():
            continue
        with tempfile.TemporaryDirectory() as work:
            made = subprocess.run(f"mkdir tree; {TREE} {command}", shell=True, cwd=work, check=False,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if made.returncode != 0:
                sys.exit(f"fuzz_seeds: {variant}: {made.stderr}")
            shutil.move(pathlib.Path(work) / "image", out)


if __name__ == "__main__":
    main()
