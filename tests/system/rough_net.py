#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks the guest's server over a bad wire from this machine's own TCP/IP: every answer must be the same to the byte.

Usage: rough_net.py --model FILE.gguf [--cards virtio-net-pci,e1000e] [--wires loss,mtu576] [--kib 256]
Needs root (a TAP device). Frames go from QEMU through this process, which loses, repeats, swaps and alters them.
Each wire: a text of some KiB to tokens and back, and a streamed answer, beside what a good wire gave.
Prints TAP; exit status 1 on failure.
"""
import argparse
import contextlib
import fcntl
import http.client
import json
import os
import random
import re
import select
import struct
import subprocess
import sys
import threading
import time

import serving
from wire import Peer

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
# Probabilities that a frame is lost, doubled, or held back behind the next one; our MTU; the window offered to the guest.
WIRES = {"good": {}, "loss": {"loss": 0.05}, "swap": {"swap": 0.1}, "twice": {"twice": 0.1},
         "all": {"loss": 0.05, "swap": 0.05, "twice": 0.05}, "mtu576": {"mtu": 576}, "mtu9000": {"mtu": 9000},
         "window1": {"window": 1}}


def checksum(data: bytes) -> int:
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_window(frame: bytes, window: int) -> bytes:
    """The same TCP segment offering no more than `window` bytes, unscaled."""
    if frame[12:14] != b"\x08\0" or frame[23] != 6:
        return frame
    head = 14 + (frame[14] & 15) * 4
    end = 14 + struct.unpack("!H", frame[16:18])[0]
    tcp = bytearray(frame[head:end])
    tcp[14:16] = struct.pack("!H", min(window, struct.unpack("!H", tcp[14:16])[0]))
    at = 20
    while tcp[13] & 2 and at < (tcp[12] >> 4) * 4 and tcp[at] != 0:
        if tcp[at] == 3:
            tcp[at:at + 3] = b"\1\1\1"  # no scale: three fillers
        at += 1 if tcp[at] == 1 else tcp[at + 1]
    tcp[16:18] = b"\0\0"
    tcp[16:18] = struct.pack("!H", checksum(frame[26:34] + struct.pack("!BBH", 0, 6, len(tcp)) + tcp))
    return frame[:head] + bytes(tcp) + frame[end:]


class RoughWire(Peer):
    """Carries frames between the card's socket and a TAP device of this machine."""

    def __init__(self):
        super().__init__()
        self.name = f"rough{self.theirs[1]}"
        self.tap = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self.tap, TUNSETIFF, struct.pack("16sH", self.name.encode(), IFF_TAP | IFF_NO_PI))
        self.choose({})
        self.ip("address", "add", "10.78.0.1/24", "dev", self.name)
        self.ip("link", "set", self.name, "up")

    def ip(self, *words):
        subprocess.run(["ip", *words], check=True)

    def choose(self, faults: dict):
        self.faults = {"loss": 0, "swap": 0, "twice": 0, "window": 0, **faults}
        self.ip("link", "set", self.name, "mtu", str(faults.get("mtu", 1500)))

    def run(self):
        ways = {self.tap: (lambda: os.read(self.tap, 65536), self.send),
                self.socket.fileno(): (lambda: self.socket.recv(65536), lambda f: os.write(self.tap, f))}
        held = dict.fromkeys(ways)
        while not self.ends:
            for source in select.select(list(ways), [], [], 0.02)[0] or [s for s in ways if held[s]]:
                take, give = ways[source]
                frame = b"" if held[source] and not select.select([source], [], [], 0)[0] else take()
                with contextlib.suppress(OSError):  # longer than the device now takes
                    held[source] = self.pass_on(frame, give, held[source], source == self.tap)

    def pass_on(self, frame, give, held, inward):
        faults, chance = self.faults, self.rng.random
        if frame and chance() < faults["loss"]:
            self.dropped += 1
            return held
        if frame and inward and faults["window"]:
            frame = with_window(frame, faults["window"])
        if frame and not held and chance() < faults["swap"]:
            return frame
        for one in (frame, held, frame if chance() < faults["twice"] else b""):
            if one:
                give(one)
        return None


def ask(path: str, body: dict) -> bytes:
    connection = http.client.HTTPConnection("10.78.0.2", 8080, timeout=200)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    assert answer.status == 200, f"{path}: {answer.status} {data[:200]}"
    connection.close()
    return data


def answers(kib: int) -> list:
    if kib == 0:
        return [ask("/tokenize", {"content": "once upon"})]
    words = random.Random(7)
    text = " ".join(words.choice(["once", "upon", "a", "time", "there", "was"]) for _ in range(kib * 200))
    tokens = ask("/tokenize", {"content": text})
    back = ask("/detokenize", json.loads(tokens))
    stream = ask("/completion", {"prompt": "Once upon a time", "n_predict": 60, "seed": 3, "stream": True})
    # The text of the answer, without its timings.
    return [tokens, back, re.findall(rb'"content":"((?:[^"\\]|\\.)*)"', stream)]


@contextlib.contextmanager
def served(card, wire, model):
    def link(_):
        nic = (*wire.netdev("n0"), "-device", f"{card},netdev=n0")
        return contextlib.nullcontext((nic, "http://10.78.0.2:8080", "net=10.78.0.2/24,10.78.0.1",
                                       r"net: eth0: 10\.78\.0\.2/24"))
    serving.WIRES["rough"] = link
    with serving.guest(card, model, "auth=none", wire="rough"):
        yield


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--cards", default="virtio-net-pci,e1000e")
    parser.add_argument("--wires", default=",".join(w for w in WIRES if w != "good"))
    parser.add_argument("--kib", type=int, default=256)
    options = parser.parse_args()
    number = failed = 0
    for card in options.cards.split(","):
        with RoughWire() as wire, served(card, wire, options.model):
            right = {kib: answers(kib) for kib in (options.kib, 0)}
            for name in options.wires.split(","):
                wire.choose(WIRES[name])
                kib = 0 if name == "window1" else options.kib  # a quarter of a second for a byte
                start, dropped, number = time.monotonic(), wire.dropped, number + 1
                good = answers(kib) == right[kib]
                failed += not good
                print(f"{'ok' if good else 'not ok'} {number} - {card}, {name}: {sum(map(len, right[kib][:2]))} bytes "
                      f"in {time.monotonic() - start:.1f} s, {wire.dropped - dropped} frames lost", flush=True)
                wire.choose({})
    print(f"{number - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
