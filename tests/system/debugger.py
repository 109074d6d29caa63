# SPDX-License-Identifier: GPL-2.0-or-later
"""Speaks with QEMU's gdb stub, by the few packets that tests need (GDB Remote Serial Protocol)."""
import socket
import struct
import time

from harness import PATIENCE, Hang, check


class Debugger:
    """Connects to a machine that QEMU holds before its first instruction (-S -gdb unix:PATH,server=on,wait=off)."""

    def __init__(self, path: str):
        self.link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.link.settimeout(60 * PATIENCE)
        end = time.monotonic() + 60 * PATIENCE
        while True:
            try:
                self.link.connect(path)
                return
            except OSError:
                if time.monotonic() > end:
                    raise Hang("QEMU opened no socket for gdb") from None
                time.sleep(0.05)

    def send(self, packet: str) -> None:
        self.link.sendall(f"${packet}#{sum(packet.encode()) % 256:02x}".encode())

    def answer(self) -> str:
        said = b""
        while b"#" not in said[:-2]:
            said += self.link.recv(4096)
        self.link.sendall(b"+")
        return said[said.index(b"$") + 1:said.rindex(b"#")].decode()

    def ask(self, packet: str) -> str:
        self.send(packet)
        return self.answer()

    def use_physical_addresses(self) -> None:
        self.ask("?")
        check(self.ask("Qqemu.PhyMemMode:1") == "OK", "this QEMU writes no physical memory for gdb")

    def write(self, address: int, value: int) -> None:
        check(self.ask(f"M{address:x},4:{struct.pack('<I', value).hex()}") == "OK", f"a write to {address:#x}")

    def go(self) -> None:
        """Lets the machine run, and leaves it."""
        self.ask("D")
        self.link.close()
