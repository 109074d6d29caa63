#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures disks and networks of Marrow and of a Linux guest in the same QEMU, in turns.

Usage: compare_linux.py disk|net|loss|idle|pull [--arch aarch64] [--rounds N] [--times N] [--mib N] [--only NAME] [--alone]
  disk   sequential reads of NVMe and virtio-blk: `disk bench` against read(2) with O_DIRECT
  net    one TCP connection over e1000e and virtio-net, out and in, every byte compared; round trips
  loss   the same through a wire that loses 5 % of the frames and lets 5 % overtake each other
  idle   CPU time that QEMU takes in 10 s of an idle guest, without a network and with one
  pull   a file from a web server to exFAT on NVMe: `model pull`, which hashes what comes and what the disk has then,
         against busybox's wget and sync, and against the same with sha256sum of the file

Each round boots both guests; each measures --times times; medians are shown, and how many times as
good Marrow's is: as fast, or as short. --alone leaves the Linux guest out.
The Linux guest is Debian's kernel with scripts/linux_peer.c as its only process. `loss` needs the
right to make a network namespace and a tap device. Needs gcc and qemu-system-x86_64, or, for ARM64, what
`scripts/setup.sh arm` installs.
"""
import argparse
import contextlib
import ctypes
import fcntl
import http.server
import os
import pathlib
import random
import re
import select
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

import linux_guest
import unpack_debian
from qemu_test import KERNEL, MACHINES, Guest, Hang, machine_of

ROOT = pathlib.Path(__file__).resolve().parent.parent
PERIOD = 1048573
CARDS = {"e1000e": "e1000e", "virtio-net": "virtio-net-pci"}


# ---- the guests ----------------------------------------------------------------------------------

def build_peer(architecture: str, tools: bool = False) -> tuple[pathlib.Path, pathlib.Path]:
    """Returns the Linux guest's kernel and its ramdisk; `tools` puts a shell and exFAT into it."""
    init = linux_guest.work_folder(architecture) / "init"
    linux_guest.run([linux_guest.PEERS[architecture].compiler, "-O2", "-static", "-o", init, ROOT / "scripts/linux_peer.c"], ROOT)
    modules, more = list(linux_guest.MODULES), []
    if tools:
        busybox = unpack_debian.unpacked("busybox-static", linux_guest.PEERS[architecture].debian) / "bin/busybox"
        modules += ["nls_utf8", "exfat"]
        more = [("bin", 0o40755, b""), ("mnt", 0o40755, b""), ("bin/busybox", 0o100755, busybox.read_bytes()),
                ("bin/sh", 0o120777, b"busybox")]
    image = "initramfs.tools" if tools else "initramfs"
    return linux_guest.kernel(architecture), linux_guest.ramdisk(architecture, image, init, modules, more)


class Linux:
    """The peer's guest: say() types a line and returns the answer."""

    name = "linux"

    def __init__(self, architecture: str, devices: list, tools: bool = False):
        kernel, image = build_peer(architecture, tools)
        self.guest = Guest(linux_guest.command_line(architecture), kernel=kernel, model=image, extra=devices, arch=architecture)

    def __enter__(self):
        self.guest.__enter__()
        self.guest.expect("peer: ready", 90)
        return self

    def __exit__(self, *details):
        self.guest.__exit__(*details)

    def say(self, line: str, timeout: float = 150) -> str:
        begin = len(self.guest.output)
        self.guest.send(line + "\n")
        return self.guest.expect(r"^peer: (.*)\n", timeout, begin).group(1)

    def start_net(self, address="10.0.2.15", gateway="10.0.2.2") -> None:
        if "up" not in self.say(f"net {address} {gateway}"):
            raise Hang("the Linux guest has no network: its card or DHCP did not come up")

    def disk(self, device: str, mib: int) -> float:
        path = {"nvme": "/dev/nvme0n1", "virtio-blk": "/dev/vda"}[device]
        # Linux counts with its best: calls of 1 MiB, or of 8 MiB, which keep more in flight.
        return max(number(self.say(f"disk {path} {mib} {kib}")) for kib in (1024, 8192))

    def tcp(self, host: str, port: int, what: str, count: int) -> float:
        return number(self.say(f"tcp {host} {port} {what} {count}"))

    def shell(self, command: str, timeout: float = 600) -> float:
        """Returns the seconds that a command of the shell has taken."""
        answer = self.say(f"shell {command}", timeout)
        found = re.fullmatch(r"shell 0 ([\d.]+) s", answer.strip())
        if found is None:
            raise Hang(f"`{command}` in the Linux guest: {answer}")
        return float(found.group(1))


class Marrow:
    """Marrow's guest, with the same methods."""

    name = "marrow"

    def __init__(self, architecture: str, devices: list, options: str = "log=info ntp=off"):
        kernel = KERNEL if machine_of(KERNEL) is MACHINES[architecture] else MACHINES[architecture].kernel
        self.guest = Guest(options, kernel=kernel, extra=devices)

    def __enter__(self):
        self.guest.__enter__()
        self.guest.expect("^marrow> ", 60)
        return self

    def __exit__(self, *details):
        self.guest.__exit__(*details)

    def start_net(self) -> None:
        for line in (r"net: eth0: link up", r"net: eth0: \d+\.\d+\.\d+\.\d+/"):
            self.guest.expect(line, 30, 0)
        time.sleep(1)

    def disk(self, device: str, mib: int) -> float:
        name = {"nvme": "nvme0n1", "virtio-blk": "vda"}[device]
        for _ in range(50):  # nvme scans for namespaces after its start
            if re.search(rf"^{name} ", self.guest.command_output("lsblk"), re.M):  # a line of the log names it earlier
                break
            self.guest.pump(0.2)
        else:
            raise Hang(f"no {name}:\n" + self.guest.command_output("dmesg"))
        return self.figure(f"disk bench {name} {mib}")

    def tcp(self, host: str, port: int, what: str, count: int) -> float:
        return self.figure(f"net bench {host} {port} {what} {count}")

    def figure(self, line: str, timeout: float = 150) -> float:
        """A log line may redraw the prompt meanwhile: the figure or an error ends the command."""
        begin = len(self.guest.output)
        self.guest.send(line + "\r")
        return number(self.guest.expect(r"[\d.]+ (?:MiB/s|us)\b.*\n|^(?:net|disk): .*\n", timeout, begin).group(0))


def number(text: str) -> float:
    found = re.search(r"([\d.]+) (?:MiB/s|us)", text)
    if found is None:
        raise Hang(f"no figure in {text!r}")
    return float(found.group(1))


# ---- the peer of TCP connections -----------------------------------------------------------------

def make_pattern() -> bytes:
    mask, state, words = (1 << 64) - 1, 1, []
    for _ in range(0, PERIOD, 8):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
        words.append(z ^ z >> 31)
    return struct.pack(f"<{len(words)}Q", *words)[:PERIOD]


class Server(threading.Thread):
    """The peer of `net bench` and the Linux guest. console/shell/net_bench.cpp describes the protocol."""

    def __init__(self, listener: socket.socket):
        super().__init__(daemon=True)
        self.listener = listener
        self.port = listener.getsockname()[1]
        self.pattern = make_pattern() * 2
        self.start()

    def run(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self.serve(connection)
            except OSError as error:
                print(f"compare_linux: the guest's connection failed: {error}", file=sys.stderr)
            connection.close()

    def serve(self, connection: socket.socket) -> None:
        what, count = struct.unpack("<cQ", connection.recv(9, socket.MSG_WAITALL))
        if what == b"e":
            for _ in range(count):
                connection.sendall(connection.recv(8, socket.MSG_WAITALL))
        elif what == b"r":
            done = 0
            while done < count:
                phase = done % PERIOD
                done += connection.send(self.pattern[phase:phase + min(1 << 18, count - done)])
        else:
            done, right = 0, True
            while done < count:
                data = connection.recv(1 << 18)
                if not data:
                    return
                phase = done % PERIOD
                right = right and data == self.pattern[phase:phase + len(data)]
                done += len(data)
            connection.sendall(b"ok" if right else b"no")


def listen(address: str) -> Server:
    listener = socket.socket()
    listener.bind((address, 0))
    listener.listen(4)
    return Server(listener)


# ---- what is measured ----------------------------------------------------------------------------

def report(title: str, figures: dict[str, list[float]], unit: str, more_is_better: bool = True) -> None:
    medians = {name: statistics.median(values) for name, values in figures.items() if values}
    every = "  ".join(f"{name} {' '.join(f'{x:.0f}' for x in figures[name])}" for name in medians)
    text = "  ".join(f"{name} {value:8.1f}" for name, value in medians.items())
    if len(medians) == 2:
        ratio = medians["marrow"] / medians["linux"]
        every = f"{ratio if more_is_better else 1 / ratio:5.2f} x as good   ({every})"
    print(f"{title:<24} {text} {unit:<6} {every}", flush=True)


def guests(options) -> tuple:
    return (Marrow,) if options.alone else (Marrow, Linux)


def measure_disks(options) -> None:
    for device in ("nvme", "virtio-blk"):
        if options.only not in ("", device):
            continue
        with tempfile.NamedTemporaryFile(prefix="marrow_disk_") as image:
            block = random.Random(1).randbytes(1 << 20)
            for _ in range(options.mib):
                image.write(block)
            image.flush()
            model = "nvme,serial=1" if device == "nvme" else "virtio-blk-pci"
            devices = ["-drive", f"file={image.name},format=raw,if=none,id=d0", "-device", f"{model},drive=d0"]
            figures: dict[str, list[float]] = {"marrow": [], "linux": []}
            for _ in range(options.rounds):
                for kind in guests(options):
                    with kind(options.arch, devices) as guest:
                        figures[kind.name] += [guest.disk(device, options.mib) for _ in range(options.times)]
            report(f"{device} read", figures, "MiB/s")


def nic(model: str, backend: list[str]) -> list[str]:
    return [*backend, "-device", f"{model},netdev=n0,romfile=" if "virtio" not in model else
            f"{model},netdev=n0,romfile="]


def measure_nets(options) -> None:
    server = listen("127.0.0.1")
    for card, model in CARDS.items():
        if options.only not in ("", card):
            continue
        measure_card(options, card, nic(model, ["-netdev", "user,id=n0"]), "10.0.2.2", server.port, {})


def measure_card(options, card: str, devices: list[str], host: str, port: int, more: dict) -> None:
    """`more` has further arguments of a guest, by its name."""
    rows = {"send": ("out", options.mib, "MiB/s"), "receive": ("in", options.mib, "MiB/s"),
            "echo": ("round trip", options.echo, "us")}
    figures = {what: {"marrow": [], "linux": []} for what in rows}
    for _ in range(options.rounds):
        for kind in guests(options):
            with kind(options.arch, devices, **more.get(kind.name, {})) as guest:
                guest.start_net()
                for what, (_, count, _) in rows.items():
                    if count:
                        figures[what][kind.name] += [guest.tcp(host, port, what, count) for _ in range(options.times)]
    for what, (title, count, unit) in rows.items():
        if count:
            report(f"{card} {title}", figures[what], unit, what != "echo")


# ---- a wire that loses ---------------------------------------------------------------------------

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
CLONE_NEWNET = 0x40000000


class Wire(threading.Thread):
    """Frames between a tap of this host and QEMU's dgram netdev; some are lost, some wait for the next."""

    def __init__(self, loss: float, overtake: float):
        super().__init__(daemon=True)
        self.loss, self.overtake, self.dice = loss, overtake, random.Random(5)
        self.passed = self.lost = self.swapped = 0
        self.tap = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self.tap, TUNSETIFF, struct.pack("16sH22x", b"tap0", IFF_TAP | IFF_NO_PI))
        for command in ("ip link set lo up", "ip addr add 10.0.2.2/24 dev tap0", "ip link set tap0 up"):
            subprocess.run(command.split(), check=True)
        self.here, there = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.here.bind(("127.0.0.1", 0))
        self.here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        there.bind(("127.0.0.1", 0))
        self.there = there.getsockname()
        there.close()
        self.held: dict[int, bytes] = {}
        self.start()

    def netdev(self) -> list[str]:
        return ["-netdev", f"dgram,id=n0,local.type=inet,local.host=127.0.0.1,local.port={self.there[1]},"
                f"remote.type=inet,remote.host=127.0.0.1,remote.port={self.here.getsockname()[1]}"]

    def put(self, side: int, frame: bytes) -> None:
        try:
            if side == 0:
                os.write(self.tap, frame)
            else:
                self.here.sendto(frame, self.there)
        except OSError:
            self.lost += 1  # the other side is not listening now

    def on_frame(self, side: int, frame: bytes) -> None:
        if self.dice.random() < self.loss:
            self.lost += 1
            return
        self.passed += 1
        if side not in self.held and self.dice.random() < self.overtake:
            self.held[side] = frame
            self.swapped += 1
            return
        self.put(side, frame)
        if side in self.held:
            self.put(side, self.held.pop(side))

    def run(self) -> None:
        while True:
            ready, _, _ = select.select([self.tap, self.here], [], [], 0.01)
            for side in ([] if ready else list(self.held)):
                self.put(side, self.held.pop(side))
            if self.here in ready:
                self.on_frame(0, self.here.recv(65536))
            if self.tap in ready:
                self.on_frame(1, os.read(self.tap, 65536))


def measure_loss(options) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        sys.exit("compare_linux: no right to make a network namespace")
    wire = Wire(options.loss, options.reorder)
    server = listen("10.0.2.2")
    options.echo = 0
    more = {"marrow": {"options": "log=info ntp=off net=10.0.2.15/24,10.0.2.2"}}
    for card, model in CARDS.items():
        if options.only in ("", card):
            measure_card(options, card + " lossy", nic(model, wire.netdev()), "10.0.2.2", server.port, more)
    print(f"the wire: {wire.passed} frames passed, {wire.lost} lost, {wire.swapped} overtaken")


# ---- idle ----------------------------------------------------------------------------------------

def cpu_seconds(process: int) -> float:
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_idle(options) -> None:
    cases = {"no network": ["-nic", "none"]}
    cases |= {card: nic(model, ["-netdev", "user,id=n0"]) for card, model in CARDS.items()}
    for title, devices in cases.items():
        figures: dict[str, list[float]] = {"marrow": [], "linux": []}
        for _ in range(options.rounds):
            for kind in guests(options):
                with kind(options.arch, devices) as guest:
                    if title in CARDS:
                        guest.start_net()
                    time.sleep(3)
                    begin = cpu_seconds(guest.guest.process.pid)
                    time.sleep(10)
                    figures[kind.name].append((cpu_seconds(guest.guest.process.pid) - begin) * 1000)
        report(f"idle, {title}", figures, "ms", False)


# ---- a file from a web server --------------------------------------------------------------------

class FileServer(http.server.BaseHTTPRequestHandler):
    """Sends a file of `mib` MiB that begins like a GGUF file."""
    protocol_version = "HTTP/1.1"
    mib = 0
    block = b""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(self.mib << 20))
        self.end_headers()
        for _ in range(self.mib):
            self.wfile.write(self.block)


@contextlib.contextmanager
def serving(mib: int):
    handler = type("Handler", (FileServer,), {"mib": mib, "block": b"GGUF" + random.Random(1).randbytes((1 << 20) - 4)})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://10.0.2.2:{server.server_address[1]}/some.gguf"
        server.shutdown()


def pull_by_marrow(options, devices: list, url: str) -> list[float]:
    with Marrow(options.arch, devices) as guest:
        guest.start_net()
        for _ in range(50):  # nvme scans for namespaces after its start
            if "/disk/nvme0n1" in guest.guest.command_output("mount"):
                break
            guest.guest.pump(0.2)
        begin, started = len(guest.guest.output), time.monotonic()
        guest.guest.send(f"model pull {url}\r")
        guest.guest.expect(r"is complete .*MiB fetched", 1800, begin)
        return [options.mib / (time.monotonic() - started)]


def pull_by_linux(options, devices: list, url: str) -> list[float]:
    with Linux(options.arch, devices, tools=True) as guest:
        guest.start_net()
        guest.shell("busybox mount -t exfat /dev/nvme0n1 /mnt")
        got = guest.shell(f"busybox wget -q -O /mnt/some.gguf {url} && busybox sync", 1800)
        # What Marrow does beside: what came, and what the disk has.
        hashed = guest.shell("busybox sha256sum /mnt/some.gguf >/dev/null && echo 3 >/proc/sys/vm/drop_caches && "
                             "busybox sha256sum /mnt/some.gguf >/dev/null", 1800)
        return [options.mib / got, options.mib / (got + hashed)]


def measure_pull(options) -> None:
    mkfs = shutil.which("mkfs.exfat") or sys.exit("compare_linux: mkfs.exfat is missing: scripts/setup.sh test")
    figures: dict[str, list[list[float]]] = {"marrow": [], "linux": []}
    for _ in range(options.rounds):
        for kind in guests(options):
            with tempfile.NamedTemporaryFile(prefix="marrow_disk_") as image, serving(options.mib) as url:
                image.truncate((options.mib + 256) << 20)
                subprocess.run([mkfs, image.name], check=True, capture_output=True)
                devices = ["-drive", f"file={image.name},format=raw,if=none,id=d0", "-device", "nvme,serial=1,drive=d0",
                           *nic("virtio-net-pci", ["-netdev", "user,id=n0"])]
                pull = pull_by_marrow if kind is Marrow else pull_by_linux
                figures[kind.name].append(pull(options, devices, url))
    mine = [times[0] for times in figures["marrow"]]
    report("pull, wget and sync", {"marrow": mine, "linux": [times[0] for times in figures["linux"]]}, "MiB/s")
    report("pull, and sha256sum", {"marrow": mine, "linux": [times[1] for times in figures["linux"]]}, "MiB/s")


def main() -> None:
    verbs = {"disk": measure_disks, "net": measure_nets, "loss": measure_loss, "idle": measure_idle,
             "pull": measure_pull}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=verbs)
    parser.add_argument("--arch", choices=linux_guest.PEERS, default="x86_64")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--echo", type=int, default=2000)
    parser.add_argument("--loss", type=float, default=0.05)
    parser.add_argument("--reorder", type=float, default=0.05)
    parser.add_argument("--only", default="", help="one disk or card: nvme, virtio-blk, e1000e, virtio-net")
    options = parser.parse_args()
    compiler = linux_guest.PEERS[options.arch].compiler
    if not options.alone and shutil.which(compiler) is None:
        sys.exit(f"compare_linux: {compiler} is missing: scripts/setup.sh build arm")
    if not options.alone:
        build_peer(options.arch)
    try:
        verbs[options.what](options)
    except Hang as reason:
        sys.exit(f"compare_linux: {reason}")


if __name__ == "__main__":
    main()
