# SPDX-License-Identifier: GPL-2.0-or-later
"""The other end of an emulated card's network cable."""
import random
import socket
import threading

MIB = 1 << 20


class Peer:
    """Sends frames of EtherType 0x88b5 back; loses or swaps some of them if asked."""

    def __init__(self, loss: float = 0.0, swap: float = 0.0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MIB)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.theirs = free.getsockname()
        self.loss, self.swap, self.rng = loss, swap, random.Random(1)
        self.seen = self.dropped = 0
        self.thread = threading.Thread(target=self.run, daemon=True)

    def netdev(self, name: str) -> list[str]:
        return ["-netdev", f"dgram,id={name},local.type=inet,local.host=127.0.0.1,local.port={self.theirs[1]},"
                           f"remote.type=inet,remote.host=127.0.0.1,remote.port={self.socket.getsockname()[1]}"]

    def __enter__(self):
        self.ends = False
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends = True
        self.thread.join()
        self.socket.close()

    def lost_outside(self) -> int:
        """Returns the frames that this machine dropped before QEMU read them; QEMU lags when the CPUs are busy."""
        ports = {f"{port:04X}" for port in (self.theirs[1], self.socket.getsockname()[1])}
        with open("/proc/net/udp", encoding="ascii") as table:
            rows = [line.split() for line in table.readlines()[1:]]
        return sum(int(row[-1]) for row in rows if row[1].split(":")[1] in ports)

    def send(self, frame: bytes) -> None:
        try:
            self.socket.sendto(frame, self.theirs)
        except OSError:  # the guest has ended
            pass

    def run(self) -> None:
        held = None
        while not self.ends:
            try:
                frame = self.socket.recv(2048)
            except OSError:  # nothing came, or the guest has ended
                if held:
                    self.send(held)
                held = None
                continue
            if frame[12:14] != b"\x88\xb5":
                continue
            self.seen += 1
            if self.loss and self.rng.random() < self.loss:
                self.dropped += 1
                continue
            if self.swap and held is None and self.rng.random() < self.swap:
                held = frame
                continue
            self.send(frame)
            if held:
                self.send(held)
                held = None
