#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetches one source of scripts/third_party.lock into the cache: fetch_third_party.py NAME

Prints the path of the archive that is ready to be unpacked. A cached file is not fetched again.
Works through apt with lists and sources of its own, so /etc is never touched.
"""
import fnmatch
import glob
import hashlib
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("MARROW_CACHE", pathlib.Path.home() / ".cache/marrow")) / "third_party"


def row_of(name: str) -> tuple[str, str, str, str]:
    for line in (ROOT / "scripts/third_party.lock").read_text().splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 5 and fields[0] == name:
            return fields[1], fields[2], fields[3], fields[4]
    sys.exit(f"fetch: {name!r} is not in scripts/third_party.lock")


def run(command: list[str], folder: pathlib.Path) -> None:
    """apt shows its own progress on stderr; ours stays a path on stdout."""
    result = subprocess.run(command, cwd=folder, stdout=sys.stderr, check=False)
    if result.returncode != 0:
        sys.exit(f"fetch: `{' '.join(command)}` failed: is the network there, is this Debian 12?")


def fetch_deb(package: str, version: str, folder: pathlib.Path) -> pathlib.Path:
    run(["apt-get", "download", package], folder)
    deb = newest(folder, f"{package}_*.deb")
    got = deb.name.split("_")[1]
    if not fnmatch.fnmatch(got, version):
        sys.exit(f"fetch: {package} is {got}, the lock wants {version}")
    subprocess.run(f"dpkg-deb --fsys-tarfile '{deb.name}' | tar x --strip-components=3 --wildcards './usr/src/*.tar.xz'",
                   shell=True, cwd=folder, check=True)
    deb.unlink()
    (folder / "version").write_text(got + "\n")
    return newest(folder, "*.tar.xz")


def fetch_dsc(package: str, version: str, folder: pathlib.Path) -> pathlib.Path:
    """The .orig tarball through a private deb-src list made from the system's own sources.

    What else the package has (its .debian tarball) lies beside it, verified by apt.
    """
    apt = folder / "apt"
    (apt / "lists/partial").mkdir(parents=True, exist_ok=True)
    lines = []
    for path in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*.list")]:
        if os.path.exists(path):
            lines += [line.replace("deb ", "deb-src ", 1) for line in open(path, encoding="utf-8")
                      if line.startswith("deb ")]
    (apt / "sources.list").write_text("".join(lines))
    parts = apt / "parts"
    parts.mkdir(exist_ok=True)
    for path in glob.glob("/etc/apt/sources.list.d/*.sources"):
        text = pathlib.Path(path).read_text(encoding="utf-8")
        (parts / pathlib.Path(path).name).write_text(text.replace("Types: deb\n", "Types: deb-src\n"))
    options = ["-o", f"Dir::Etc::sourcelist={apt}/sources.list", "-o", f"Dir::Etc::sourceparts={parts}",
               "-o", f"Dir::State::lists={apt}/lists"]
    run(["apt-get", *options, "update", "-q"], folder)
    run(["apt-get", *options, "source", "--download-only", package], folder)
    tar = newest(folder, f"{package}_*.orig.tar.*")
    got = tar.name.split("_")[1].split(".orig")[0]
    if not fnmatch.fnmatch(got, version):
        sys.exit(f"fetch: {package} is {got}, the lock wants {version}")
    (folder / "version").write_text(got + "\n")
    return tar


def newest(folder: pathlib.Path, pattern: str) -> pathlib.Path:
    found = sorted((p for p in folder.glob(pattern) if not p.name.endswith(".asc")), key=lambda p: p.stat().st_mtime)
    if not found:
        sys.exit(f"fetch: nothing like {pattern} came")
    return found[-1]


def main() -> None:
    name = sys.argv[1]
    kind, package, version, wanted = row_of(name)
    folder = CACHE / name
    archive_note = folder / "archive"
    if archive_note.exists() and (folder / archive_note.read_text().strip()).exists():
        print(folder / archive_note.read_text().strip())
        return
    folder.mkdir(parents=True, exist_ok=True)
    print(f"fetch: {package} {version}", file=sys.stderr)
    archive = (fetch_deb if kind == "deb" else fetch_dsc)(package, version, folder)
    if wanted != "-":
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != wanted:
            archive.unlink()
            sys.exit(f"fetch: {archive.name} has SHA-256 {found}, the lock says {wanted}: not kept")
    archive_note.write_text(archive.name + "\n")
    print(archive)


if __name__ == "__main__":
    main()
