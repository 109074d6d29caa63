# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernel with one program of ours as its only process: what Marrow is compared with."""
import pathlib
import re
import subprocess
import sys
from typing import NamedTuple

import unpack_debian

CACHE = unpack_debian.CACHE / "linux_peer"
MODULES = ["virtio_pci", "virtio_net", "virtio_blk", "nvme", "e1000e"]
# path, mode, contents
Entry = tuple[str, int, bytes]


class Peer(NamedTuple):
    debian: str  # what Debian calls the architecture
    compiler: str
    console: str


PEERS = {"x86_64": Peer("amd64", "gcc", "ttyS0"), "aarch64": Peer("arm64", "aarch64-linux-gnu-gcc", "ttyAMA0")}


def run(command: list, folder: pathlib.Path) -> str:
    result = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"linux_guest: `{' '.join(map(str, command))}` failed")
    return result.stdout


def work_folder(architecture: str) -> pathlib.Path:
    """Returns the folder where the programs and ramdisks of this architecture's guest are made."""
    folder = CACHE / architecture
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def package(architecture: str) -> pathlib.Path:
    debian = PEERS[architecture].debian
    try:
        return unpack_debian.unpacked(f"linux-image-{debian}", debian)
    except unpack_debian.Missing as reason:
        sys.exit(f"linux_guest: {reason}")


def kernel(architecture: str) -> pathlib.Path:
    return next(package(architecture).glob("boot/vmlinuz-*"))


def module_order(modules: pathlib.Path, wanted: list[str]) -> list[pathlib.Path]:
    """Returns the wanted modules, each after those it depends on. Those that are built into the kernel are left out."""
    files = {path.stem.replace("-", "_"): path for path in modules.rglob("*.ko")}
    order: list[pathlib.Path] = []

    def add(name: str) -> None:
        path = files.get(name.replace("-", "_"))
        if path is None or path in order:
            return
        found = re.search(rb"\0depends=([^\0]*)\0", b"\0" + path.read_bytes())
        for other in (found.group(1).decode().split(",") if found else []):
            if other:
                add(other)
        order.append(path)

    for name in wanted:
        add(name)
    return order


def cpio(entries: list[Entry]) -> bytes:
    """Returns an initial ramdisk ("newc")."""
    out = bytearray()
    for inode, (path, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        fields = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, 5 if path == "dev/console" else 0,
                  1 if path == "dev/console" else 0, len(path) + 1, 0]
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + path.encode() + b"\0"
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def ramdisk(architecture: str, image: str, init: pathlib.Path, wanted: list[str], more: list[Entry]) -> pathlib.Path:
    """Writes a ramdisk with the program as /init, the wanted modules in the order of /modules/order, and more files."""
    order = module_order(next((package(architecture) / "lib/modules").iterdir()), wanted)
    entries: list[Entry] = [(d, 0o40755, b"") for d in ("dev", "proc", "sys", "modules")]
    entries += [("dev/console", 0o20600, b""), ("init", 0o100755, init.read_bytes()),
                ("modules/order", 0o100644, "".join(p.name + "\n" for p in order).encode())]
    entries += [(f"modules/{p.name}", 0o100644, p.read_bytes()) for p in order]
    path = work_folder(architecture) / image
    path.write_bytes(cpio(entries + more))
    return path


def command_line(architecture: str) -> str:
    return f"console={PEERS[architecture].console} quiet loglevel=1"
