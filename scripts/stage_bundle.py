#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Copies a bundle into the folder that becomes an image: stage_bundle.py FOLDER TREE

FOLDER has manifest.toml (`marrow bundle make`) and the files that it names. They are compared with it, so that a damaged
bundle is refused before anybody carries it away, and come to TREE/models/NAME/GENERATION, which is printed. The signature
is for the machine to judge, which knows its keys.
"""
import hashlib
import pathlib
import re
import shutil
import sys
import tomllib

NAME = r"(?!\.+$)[A-Za-z0-9._-]{1,100}"  # an image's paths have no other characters


def fail(text: str) -> None:
    sys.exit(f"bundle: {text}")


def sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bare(name, what: str) -> str:
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        fail(f"{what} is {name!r}: in an image it consists of letters, digits, . _ -")
    return name


def payload(folder: pathlib.Path, row: dict) -> list[pathlib.Path]:
    """Returns the files of a table [file.…] that lie in the folder, compared with the manifest."""
    file = folder / bare(row.get("path"), "a file's name")
    if not file.is_file():
        fail(f"{file} is missing: copy the whole bundle")
    if file.stat().st_size != row.get("size") or sha256(file) != row.get("sha256"):
        fail(f"{file} is not the file of its manifest: copy the bundle again")
    chunks = folder / "model.chunks"
    if "chunks_sha256" not in row or not chunks.exists():
        return [file]
    if sha256(chunks) != row["chunks_sha256"]:
        fail(f"{chunks} is not the list of its manifest: copy the bundle again")
    return [file, chunks]


def stage(folder: pathlib.Path, tree: pathlib.Path) -> pathlib.Path:
    text = folder / "manifest.toml"
    try:
        manifest = tomllib.loads(text.read_text())
    except (OSError, ValueError) as error:
        fail(f"{text} cannot be read ({error}): `marrow bundle make {folder}` writes one")
    name, generation, tables = bare(manifest.get("name"), "its name"), manifest.get("generation"), manifest.get("file")
    if manifest.get("format") not in ("gguf", "llama2c") or not isinstance(generation, int) or generation < 1:
        fail(f"{text} is no model's manifest")
    if not isinstance(tables, dict) or not isinstance(tables.get("model"), dict):
        fail(f"{text} names no model")
    target = tree / "models" / name / str(generation)
    if target.exists():
        fail(f"two bundles are generation {generation} of {name}")
    rows = [tables[kind] for kind in ("model", "tokenizer") if isinstance(tables.get(kind), dict)]
    files = [text] + [file for row in rows for file in payload(folder, row)]
    target.mkdir(parents=True)
    for file in files:
        shutil.copyfile(file, target / file.name)
    return target


if __name__ == "__main__":
    if len(sys.argv) != 3:
        fail("stage_bundle.py FOLDER TREE")
    print(stage(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
