# SPDX-License-Identifier: GPL-2.0-or-later
"""Unpacks packages of Debian, also of another architecture, without installing them.

apt works in a folder of its own with the sources and keys of this system. What the system knows of packages and
architectures stays as it is, and no right of root is needed.
"""
import os
import pathlib
import re
import shutil
import subprocess

CACHE = pathlib.Path(os.environ.get("MARROW_CACHE", pathlib.Path.home() / ".cache/marrow"))


class Missing(Exception):
    """Raised when a package cannot be had. The message says which, and why."""


def apt(folder: pathlib.Path, architecture: str, *words: str) -> str:
    if shutil.which(words[0]) is None:
        raise Missing(f"{words[0]} is missing: packages of Debian are unpacked on Debian only")
    options = {"APT::Architecture": architecture, "APT::Architectures": architecture, "Dir::State": folder / "state",
               "Dir::State::status": folder / "state/status", "Dir::Cache": folder / "cache", "Acquire::Languages": "none",
               "APT::Sandbox::User": "root", "Acquire::Retries": 3}  # apt's own user may not enter this home
    (folder / "state/lists/partial").mkdir(parents=True, exist_ok=True)
    (folder / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
    (folder / "state/status").touch()
    settings = [] if words[0] == "dpkg-deb" else [f"--option={key}={value}" for key, value in options.items()]
    done = subprocess.run([words[0], *settings, *words[1:]], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"`{' '.join(words)}` failed for {architecture}: {done.stderr.strip()[-500:]}")
    return done.stdout


def unpacked(package: str, architecture: str) -> pathlib.Path:
    """Returns a folder with the package's files, which stays in $MARROW_CACHE for the next time. A package that only depends on
    the newest version of itself ("linux-image-amd64") stands for that one."""
    whole = CACHE / "debian" / architecture / package
    if whole.exists():
        return whole
    work = whole.with_name(f"{package}.part")  # what is half done is made anew the next time
    shutil.rmtree(work, ignore_errors=True)
    (work / "tree").mkdir(parents=True)
    print(f"unpack_debian: fetching {package} for {architecture}", flush=True)
    apt(work, architecture, "apt-get", "-q", "update")
    stem = re.escape(package.rsplit("-", 1)[0])
    found = re.search(rf"^ +Depends: ({stem}-\d\S*)$", apt(work, architecture, "apt-cache", "depends", package), re.M)
    apt(work, architecture, "apt-get", "-q", "download", found[1] if found else package)
    apt(work, architecture, "dpkg-deb", "--extract", next(work.glob("*.deb")).name, "tree")
    (work / "tree").rename(whole)
    shutil.rmtree(work)
    return whole
