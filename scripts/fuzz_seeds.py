#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes small images with real tools, from which the file-system fuzzers start: fuzz_seeds.py NAME FOLDER

Random bytes do not become an ext4. Without the tools (scripts/setup.sh test) there are no seeds.
"""
import os
import pathlib
import shutil
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


def main() -> None:
    name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
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
