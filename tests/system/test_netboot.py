#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A computer without a medium fetches loader, kernel, options and model from a web server, and answers.

test_netboot.py            by BIOS
test_netboot.py --all      by UEFI, too
"""
import functools
import http.server
import pathlib
import subprocess
import sys
import tempfile
import threading

import tiny_gguf
from harness import ROOT, Guest, case, check, main, small_iso
from machines import FIRMWARE

SERVER = "10.0.2.100"  # not the address of a computer: QEMU passes each connection on to RELAY
# QEMU gives a connection's bytes to a program's input and takes them from its output.
RELAY = """
import os, socket, sys, threading
server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def upwards():
    while data := os.read(0, 1 << 16):
        server.sendall(data)
    server.shutdown(socket.SHUT_WR)
threading.Thread(target=upwards, daemon=True).start()
while data := server.recv(1 << 16):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Gives out a folder. A loader closes a connection as soon as it has seen enough."""

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass

    def log_message(self, *words):
        self.server.asked.append(self.path)


def start(firmware: str) -> None:
    model = tiny_gguf.write(ROOT / "build/test/netboot.gguf")
    iso = small_iso("netboot", "net=off\n", model)
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run(["scripts/create_netboot.sh", "-s", SERVER, "-i", iso, "-o", f"{folder}/out"], cwd=ROOT, check=False,
                              capture_output=True, text=True)
        check(made.returncode == 0, made.stdout + made.stderr)
        relay = pathlib.Path(folder, "relay.py")
        relay.write_text(RELAY)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=f"{folder}/out")) as server:
            server.asked = []
            threading.Thread(target=server.serve_forever, daemon=True).start()
            loader = "marrow.efi" if firmware == "ovmf" else "marrow.pxe"
            net = ["-netdev", f"user,id=net,bootfile=http://{SERVER}/{loader},"
                   f"guestfwd=tcp:{SERVER}:80-cmd:{sys.executable} {relay} {server.server_port}",
                   "-device", "virtio-net-pci,netdev=net,bootindex=0"]
            with Guest(cpus=2, memory="512M", net=net, boot=["-boot", "n"], extra=FIRMWARE[firmware]) as guest:
                guest.expect(r"^you> $", 240)  # the menu's first entry
                begin = len(guest.output)
                guest.send("w1\r")
                guest.expect(r"^\[[^\n]*\d+ tokens", 60, begin)
            server.shutdown()
            for path in (f"/{loader}", "/boot/grub/grub.cfg", "/boot/marrow.elf", "/marrow.cfg", f"/models/{model.name}"):
                check(path in server.asked, f"{path} was not asked for: {server.asked}")


@case
def by_bios():
    """iPXE and GRUB fetch everything from a web server: the prompt comes, and the model answers"""
    start("seabios")


if "--all" in sys.argv:
    sys.argv.remove("--all")

    @case
    def by_uefi():
        """the same with OVMF"""
        start("ovmf")


@case
def folders_that_are_refused():
    """a server with a port, and a folder with other things in it, are refused by name; a folder of its own is made anew"""
    iso = small_iso("netboot-empty")

    def make(*words: str) -> str:
        done = subprocess.run(["scripts/create_netboot.sh", *words], cwd=ROOT, check=False, capture_output=True, text=True)
        return done.stderr if done.returncode else "made"
    with tempfile.TemporaryDirectory() as folder:
        other = pathlib.Path(folder, "other")
        other.mkdir()
        check("GRUB asks port 80" in make("-s", "10.0.0.1:8080", "-i", str(iso), "-o", f"{folder}/a"), "a port is taken")
        check("name another folder" in make("-s", "10.0.0.1", "-i", str(iso), "-o", str(other)), "the folder is taken")
        out = pathlib.Path(folder, "out")
        check(make("-s", "10.0.0.1", "-i", str(iso), "-o", str(out)) == "made", "not made")
        (out / "models").mkdir(exist_ok=True)
        (out / "models/old.gguf").touch()
        (out / "mine").touch()
        check(make("-s", "10.0.0.1", "-i", str(iso), "-o", str(out)) == "made", "not made anew")
        check((out / "mine").exists() and not (out / "models/old.gguf").exists(), "the wrong files stay")


if __name__ == "__main__":
    main()
