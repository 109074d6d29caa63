#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetches every source of scripts/third_party.lock into the cache; what is there is not fetched again.

Usage: fetch_third_party.py              fetches
       fetch_third_party.py --path NAME  fetches, and prints where the archive of NAME lies

Works through apt with lists and sources of its own, so /etc is never touched: the system's own
mirrors, but the Debian release that the lock names, which need not be the system's.
"""
import fcntl
import fnmatch
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("MARROW_CACHE", pathlib.Path.home() / ".cache/marrow")) / "third_party"
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"  # of every release, in each of them


class Row(NamedTuple):
    name: str
    kind: str
    release: str
    package: str
    version: str
    digest: str


def rows() -> list[Row]:
    lines = (ROOT / "scripts/third_party.lock").read_text().splitlines()
    return [Row(*(field.strip() for field in line.split("|"))) for line in lines if line and not line.startswith("#")]


def cached(row: Row) -> pathlib.Path | None:
    """Returns the archive of an earlier fetch, unless the lock names another version now."""
    folder = CACHE / row.name
    if not (folder / "archive").exists() or not fnmatch.fnmatch((folder / "version").read_text().strip(), row.version):
        return None
    archive = folder / (folder / "archive").read_text().strip()
    return archive if archive.exists() else None


def run(command: list[str], folder: pathlib.Path) -> None:
    result = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{result.stdout}fetch: `{' '.join(command)}` failed. The lines above say why: "
                 "is the network there? Then run make again.")


def sources_of(release: str) -> list[str]:
    """The system's Debian archives as lines of sources.list, with the release that is wanted."""
    system = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    own = {system.get("VERSION_CODENAME", "").strip('"'), "stable", "oldstable"}
    targets = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Identifier: Packages"],
                             capture_output=True, text=True, check=True).stdout
    found = []
    for uri, suite, component in (line.split() for line in targets.splitlines()):
        base, mark, part = re.fullmatch(r"([^-/]+)([-/]?)(.*)", suite).groups()
        if base in own and component == "main" and part in ("", "security", "updates"):
            found += [f"{kind} [signed-by={KEYS}] {uri} {release}{mark}{part} main" for kind in ("deb", "deb-src")]
    if not found:
        sys.exit(f"fetch: /etc/apt names no archive of Debian {'/'.join(sorted(own))}, from which {release} could be read: "
                 "add Debian's archive to it, or run this on Debian.")
    return sorted(set(found))


class Apt:
    """apt-get with the lists of one release in a folder of its own."""

    def __init__(self, folder: pathlib.Path, release: str):
        for part in ("lists/partial", "parts", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        (folder / "sources.list").write_text("\n".join(sources_of(release)) + "\n")
        self.command = ["apt-get", "-q", "-o", f"Dir::Etc::sourcelist={folder}/sources.list", "-o", f"Dir::Etc::sourceparts={folder}/parts",
                        "-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache",
                        "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3"]
        if os.geteuid() == 0:  # the unprivileged user that apt would fetch as cannot write here
            self.command += ["-o", "APT::Sandbox::User=root"]
        print(f"fetch: the package lists of Debian {release}", file=sys.stderr)
        run([*self.command, "update"], folder)

    def deb(self, package: str, folder: pathlib.Path) -> tuple[pathlib.Path, str]:
        """The source archive inside a binary package, and the version."""
        run([*self.command, "download", package], folder)
        deb = newest(folder, f"{package}_*.deb")
        subprocess.run(f"dpkg-deb --fsys-tarfile '{deb.name}' | tar x --strip-components=3 --wildcards './usr/src/*.tar.xz'",
                       shell=True, cwd=folder, check=True)
        version = deb.name.split("_")[1]
        deb.unlink()
        return newest(folder, "*.tar.xz"), version

    def dsc(self, package: str, folder: pathlib.Path) -> tuple[pathlib.Path, str]:
        """The .orig archive; what else the source package has lies beside it, verified by apt."""
        run([*self.command, "source", "--download-only", package], folder)
        archive = newest(folder, f"{package}_*.orig.tar.*")
        return archive, archive.name.split("_")[1].split(".orig")[0]


def newest(folder: pathlib.Path, pattern: str) -> pathlib.Path:
    found = sorted((p for p in folder.glob(pattern) if not p.name.endswith(".asc")), key=lambda p: p.stat().st_mtime)
    if not found:
        sys.exit(f"fetch: nothing like {pattern} came")
    return found[-1]


def fetch(row: Row, apt: Apt) -> None:
    print(f"fetch: {row.package} {row.version}", file=sys.stderr)
    folder = CACHE / row.name
    folder.mkdir(parents=True, exist_ok=True)
    archive, version = (apt.deb if row.kind == "deb" else apt.dsc)(row.package, folder)
    if not fnmatch.fnmatch(version, row.version):
        sys.exit(f"fetch: {row.package} is {version}, but scripts/third_party.lock names {row.version}: update the lock")
    if row.digest != "-":
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != row.digest:
            archive.unlink()
            sys.exit(f"fetch: {archive.name} has SHA-256 {found}, the lock says {row.digest}: not kept")
    (folder / "version").write_text(version + "\n")
    (folder / "archive").write_text(archive.name + "\n")


def fetch_missing(table: list[Row]) -> None:
    """Locks a source, so that a second process waits and then finds it fetched."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [row for row in table if cached(row) is None]
        for release in sorted({row.release for row in missing}):
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                apt = Apt(pathlib.Path(folder), release)
                for row in missing:
                    if row.release == release:
                        fetch(row, apt)


def main() -> None:
    table = rows()
    name = sys.argv[2] if sys.argv[1:2] == ["--path"] else None
    if name is not None and name not in [row.name for row in table]:
        sys.exit(f"fetch: {name} is not in scripts/third_party.lock")
    fetch_missing(table)
    if name is not None:
        print(next(cached(row) for row in table if row.name == name))


if __name__ == "__main__":
    main()
