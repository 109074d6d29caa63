#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the image's manifest: make_manifest.py OUT KERNEL [MODEL...] [--tree FOLDER] [--bundles FOLDER...] [--install FILE PLACE]...

The image's date (SOURCE_DATE_EPOCH, where it is set); kernel version and hash; each model's name, format, quantization, parameters, size and SHA-256.
Models are validated as far as the manifest needs: a file that is no GGUF is refused by name.
--bundles names folders below --tree, each with a bundle, whose own manifest has the hashes of its files.
--install names a file of the image, as a path below --tree, and its place on a disk that the console
command `install` makes (service/install/source.h). Its size and SHA-256 become part of the manifest.
"""
import argparse
import hashlib
import json
import os
import pathlib
import re
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# GGUF metadata value types: number -> (struct format, bytes); 8 is string, 9 array.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


def file_types() -> dict[int, str]:
    """general.file_type numbers of the types that the engine runs, from the rows of formats.def."""
    types = {}
    for line in (ROOT / "ai/quant/formats.def").read_text().splitlines():
        if line.startswith(("FORMAT_FLOAT", "FORMAT_32", "FORMAT_256")):
            row = re.match(r'\w+ *\(\w+, *\d+, "((?:\d+:\w+ ?)+)"', line)
            if row is None:
                sys.exit(f"manifest: a row of formats.def that has no file types: {line}")
            types |= {int(number): name for number, name in (t.split(":") for t in row.group(1).split())}
    return types


class Gguf:
    """Reads metadata and tensor shapes of a GGUF v2/v3 file, front to back."""

    def __init__(self, path: pathlib.Path):
        self.file, self.left = path.open("rb"), path.stat().st_size
        magic, version, tensors, keys = struct.unpack("<4sIQQ", self.take(24))
        if magic != b"GGUF" or version not in (2, 3):
            raise ValueError("not a GGUF file of version 2 or 3")
        self.metadata = {}
        for _ in range(keys):
            name = self.text()
            self.metadata[name] = self.value(self.number("<I"))
        self.parameters = 0
        for _ in range(tensors):
            self.text()
            dims = [self.number("<Q") for _ in range(self.number("<I"))]
            self.number("<I")
            self.number("<Q")
            count = 1
            for dim in dims:
                count *= dim
            self.parameters += count

    def pass_by(self, count: int) -> None:
        """Refuses a count that asks for more bytes than the file has: a damaged file may contain any number."""
        if count > self.left:
            raise ValueError("ends early, or a length in it is wrong: download or copy it again")
        self.left -= count

    def take(self, count: int) -> bytes:
        self.pass_by(count)
        return self.file.read(count)

    def number(self, form: str):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self) -> str:
        return self.take(self.number("<Q")).decode("utf-8", "replace")

    def value(self, kind: int):
        if kind == 8:
            return self.text()
        if kind == 9:
            inner, count = self.number("<I"), self.number("<Q")
            if inner in SCALARS:
                size = count * struct.calcsize("<" + SCALARS[inner])
                self.pass_by(size)
                self.file.seek(size, 1)
            else:
                for _ in range(count):
                    self.value(inner)
            return f"array of {count}"
        if kind not in SCALARS:
            raise ValueError(f"metadata value of unknown type {kind}")
        return self.number("<" + SCALARS[kind])


def digest(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(path: pathlib.Path) -> dict:
    try:
        gguf = Gguf(path)
    except RecursionError:
        sys.exit(f"manifest: {path}: lists within lists without end: download or copy it again")
    except (ValueError, OSError, struct.error) as error:
        sys.exit(f"manifest: {path}: {error}")
    meta = gguf.metadata
    return {
        "file": f"/models/{path.name}",
        "name": meta.get("general.name", path.stem),
        "format": "gguf",
        "architecture": meta.get("general.architecture", "unknown"),
        "quantization": file_types().get(meta.get("general.file_type"), "unknown"),
        "parameters": gguf.parameters,
        "size": path.stat().st_size,
        "sha256": digest(path),
    }


def bundle_row(tree: pathlib.Path, folder: pathlib.Path) -> dict:
    return {"folder": f"/{folder.relative_to(tree)}", "manifest_sha256": digest(folder / "manifest.toml")}


def install_row(tree: pathlib.Path, file: str, place: str) -> dict:
    path = tree / file.lstrip("/")
    return {"file": file, "to": place, "size": path.stat().st_size, "sha256": digest(path)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("kernel", type=pathlib.Path)
    parser.add_argument("models", type=pathlib.Path, nargs="*")
    parser.add_argument("--tree", type=pathlib.Path)
    parser.add_argument("--bundles", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--install", nargs=2, action="append", default=[], metavar=("FILE", "PLACE"))
    words = parser.parse_args()
    date = os.environ.get("SOURCE_DATE_EPOCH")
    manifest = {
        **({"date": int(date)} if date else {}),
        "kernel": {"version": (ROOT / "VERSION").read_text().strip(), "sha256": digest(words.kernel),
                   "size": words.kernel.stat().st_size},
        "models": [describe(path) for path in words.models],
    }
    if words.bundles:
        manifest["bundles"] = [bundle_row(words.tree, folder) for folder in words.bundles]
    if words.install:
        manifest["install"] = [install_row(words.tree, *row) for row in words.install]
    words.out.write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
