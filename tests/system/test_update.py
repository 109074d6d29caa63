#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel is put on an installed disk, proves itself or is taken back: test_update.py [all] [CASE]

Bad kernels are copies of the kernel with other bytes at a function's beginning, signed as a good one would be. `all`
adds those that hang and that cannot load the model, UEFI, machines with one CPU, a network that is gone, and the states in
which a power cut can leave GRUB's block. cuts.py cuts the power at random times.
"""
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import tiny_gguf
from disk_images import disk, fat_disk, tool
from harness import KERNEL, PATIENCE, ROOT, TWIN, Guest, case, check, main, small_iso, to_prompt
from machines import FIRMWARE
from pull_server import Server
from serving import free_port

ALL = "all" in sys.argv[1:]
CONFIG = "log=info\nnet=off\nupdate.minutes=1\n"
ONLINE = "log=info\nntp=off\nupdate.minutes=1\npull.pause=0\nauth=none\ntls=off\n"
ADDRESS = r"inet  10\.0\.2\.\d+"  # of a guest in QEMU's user network
MODEL = ROOT / "build/test/installed.gguf"
PROMPT_OR_TALK = r"^marrow> |^you> "
PANIC, HANG = b"\x0f\x0b", b"\xfa\xeb\xfe"  # ud2; cli and a jump to itself


def thorough(function):
    """Marks a case that only `all` runs."""
    return case(function) if ALL else function


def host(*words, status: int = 0) -> str:
    done = subprocess.run([TWIN, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120 * PATIENCE, check=False)
    check(done.returncode == status, f"{words}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def offset_of(elf: bytes, address: int) -> int:
    """Where the byte of an address lies in an ELF file."""
    table, size, count = struct.unpack_from("<Q", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
    for number in range(count):
        kind, _, at, start, _, length = struct.unpack_from("<IIQQQQ", elf, table + number * size)
        if kind == 1 and start <= address < start + length:
            return at + address - start
    raise AssertionError(f"no segment has the address {address:x}")


def planted(elf: bytes, symbol: str, code: bytes) -> bytes:
    names = subprocess.run([tool("nm"), KERNEL], capture_output=True, text=True, check=True).stdout
    at = offset_of(elf, int(re.search(rf"^(\w+) T {symbol}$", names, re.M)[1], 16))
    return elf[:at] + code + elf[at + len(code):]


class Site:
    """An installed disk that trusts a key, and a stick with updates."""

    def __init__(self, folder: str, config: str = CONFIG):
        self.folder, self.files, self.cpus, self.net = pathlib.Path(folder), [], 2, "none"
        self.seed = self.folder / "site.seed"
        host("bundle", "keygen", self.seed, self.folder / "site.pub")
        iso = small_iso("update", config, tiny_gguf.write(MODEL), [self.folder / "site.pub"])
        self.image = self.folder / "disk.img"
        host(f"run=install --to-image {self.image} --from {iso} --size 160; poweroff")
        kernel = self.folder / "marrow.elf"
        subprocess.run([tool("strip"), "--strip-debug", "-o", kernel, KERNEL], check=True)
        self.kernel = kernel.read_bytes()

    def update(self, name: str, elf: bytes, version: str = "99.1", sign: bool = True) -> pathlib.Path:
        kernel, file = self.folder / "kernel", self.folder / f"{name}.update"
        kernel.write_bytes(elf)
        host("update", "make", kernel, file, version)
        if sign:
            host("update", "sign", file, self.seed)
        self.files.append(file)
        return file

    def guest(self, firmware: str = "seabios", restarts: bool = False) -> Guest:
        """QEMU ends where the machine would restart, or `restarts` it with the memory as it is."""
        stick = fat_disk(self.folder / "stick.img", 256, *self.files)
        boot = disk(self.image, "nvme")
        boot[-1] += ",bootindex=0"  # a BIOS would start the stick's boot sector
        action = ["-action", "reboot=reset"] if restarts else []
        return Guest(boot=boot, extra=[*disk(stick, "virtio-blk-pci"), *FIRMWARE[firmware], *action], cpus=self.cpus, net=self.net)

    def online(self, port: int = 0) -> None:
        """Gives the machine a network card; `port` of this computer leads to the server."""
        forward = f",hostfwd=tcp:127.0.0.1:{port}-:8080" if port else ""
        self.net = ("-nic", f"user,model=virtio-net-pci{forward}")

    def starts(self, guest: Guest, says: str) -> str:
        """Waits for the prompt, and for what the kernel must have said before."""
        guest.expect(says, 300)
        to_prompt(guest, 150)
        guest.until("mount", "/disk/vda", 60)
        return guest.command_output("update status", 60)

    def puts(self, guest: Guest, name: str) -> None:
        text = guest.command_output(f"update /disk/vda/{name}.update", 120)
        check("`reboot` tries it" in text, text)
        guest.send("reboot\r")
        guest.wait_exit(60)  # QEMU ends where the machine would restart

    def resets(self, firmware: str, says: str) -> None:
        """Starts a kernel that does not prove itself."""
        with self.guest(firmware) as guest:
            guest.expect(says, 150)
            guest.wait_exit(150)
            check("has proved itself" not in guest.output, guest.output[-2000:])


def refused(site: Site, guest: Guest) -> None:
    for name, why in (("unsigned", "must be signed by a key of this machine"), ("changed", "is not the one that was signed"),
                      ("older", "is older than the running kernel"), ("large", "too large for the slots"),
                      ("arm", "another kind of machine")):
        text = guest.command_output(f"update /disk/vda/{name}.update", 120)
        check(why in text, f"{name}: {text}")
    check("installed" in guest.command_output("update status"), guest.output[-1000:])


def bad_files(site: Site) -> None:
    site.update("unsigned", site.kernel, sign=False)
    changed = site.update("changed", site.kernel)
    data = bytearray(changed.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    site.update("older", site.kernel, "0.0.1")
    site.update("large", site.kernel + bytes(24 << 20))
    site.update("arm", site.kernel[:18] + struct.pack("<H", 183) + site.kernel[20:])


def falls_back(site: Site, firmware: str, name: str, says: str, why: str) -> None:
    """From the good kernel in slot a: a bad one goes to slot b, is tried once, and the good one says why it is back."""
    with site.guest(firmware) as guest:
        site.starts(guest, r"^")
        site.puts(guest, name)
    failure = rf"was tried and has not proved itself: {why}"
    with site.guest(firmware, restarts=True) as guest:
        guest.expect(says, 150)
        text = site.starts(guest, rf"update: the kernel in slot b {failure}")
        check("has proved itself" not in guest.output, guest.output[-2000:])
        check(re.search(failure, text) is not None, text)
        check(re.search(r"a +99.1, runs \(.*\), starts\n", text) and re.search(r"b +99.2, failed", text), text)


def becomes_good(site: Site, firmware: str) -> None:
    site.update("good", site.kernel)
    with site.guest(firmware) as guest:
        to_prompt(guest, 150)
        guest.until("mount", "/disk/vda", 60)
        if site.files[0].stem == "unsigned":
            refused(site, guest)
        check("llm: done" in guest.command_output("llm hello 4", 60), guest.output[-2000:])
        site.puts(guest, "good")
    with site.guest(firmware) as guest:
        text = site.starts(guest, r"update: model ok\n(.|\n)*update: selftest ok\n(.|\n)*has proved itself and starts from now on")
        check(re.search(r"installed +of the installation, before it", text), text)
        check(re.search(r"a +99.1, runs \(.*\), starts", text), text)


@case
def an_update_and_a_panic():
    """wrong updates are refused; a good one proves itself and stays; one that panics is tried once"""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(folder)
        bad_files(site)
        becomes_good(site, "seabios")
        site.update("panics", planted(site.kernel, "_ZN5sched4initEv", PANIC), "99.2")
        falls_back(site, "seabios", "panics", "PANIC", r"panic: .* \(step start\)")


def health(port: int) -> dict:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)  # 503: no model


@thorough
def an_update_over_the_network():
    """update URL: refused by its head or its length before the rest comes; stopped and cut transfers go on; /health tells"""
    with tempfile.TemporaryDirectory() as folder:
        site, port = Site(folder, ONLINE), free_port()
        part = site.kernel[:3 << 19]  # it is not started
        good = site.update("good", part).read_bytes()
        unsigned = site.update("unsigned", part, sign=False).read_bytes()
        site.files.clear()
        site.online(port)
        with Server(good) as server, Server(unsigned) as stranger, site.guest() as guest:
            def address(from_server: Server, way: str) -> str:
                return from_server.url(f"/{way}/marrow.update", "10.0.2.2")

            to_prompt(guest, 150)
            guest.until("mount", "/disk/vda", 60)
            guest.until("ip", ADDRESS, 60)
            for from_server, way, why in ((stranger, "stingy", "must be signed by a key of this machine"),
                                          (server, "short", "has another size than it says"),
                                          (server, "brief", "has another size than it says"), (server, "html", "is no update file")):
                text = guest.command_output(f"update {address(from_server, way)}", 60)
                check(why in text and "trying again" not in text, f"{way}: {text}")
                check(len(from_server.requests(f"/{way}/marrow.update")) == 1, f"{way}: {from_server.seen}")
            check("is empty" in guest.command_output("update status"), guest.output[-1000:])
            begin = len(guest.output)
            guest.send(f"update {address(server, 'weary')}\r")
            guest.expect(r"fetching", 60, begin)
            guest.settle(0.5)
            guest.send("\x03")
            guest.expect(r"stopped; what has come stays", 60, begin)
            guest.expect(r"\nmarrow> ", 30, begin)
            text = guest.command_output(f"update {address(server, 'weary')}", 120)
            check("are on the disk already" in text and "99.1 is in slot a" in text, text)
            text = guest.command_output(f"update {address(server, 'cut')}; ls /disk/vda/updates", 120)
            check(text.count("trying again") == 3 and "99.1 is in slot a" in text and "0 entries" in text, text)
            guest.command_output("serve start", 30)
            told = health(port)["update"]
            check(told == {"slot": "installed", "version": told["version"], "state": "waiting", "tried": "a"}, str(told))


def every_bad_kernel(firmware: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = Site(folder)
        becomes_good(site, firmware)
        hung = r"hang: cpu 0 has not scheduled for \d+ s \(step start\)"
        for name, elf, says, why in (
                ("panics", planted(site.kernel, "_ZN5sched4initEv", PANIC), "PANIC", r"panic: .* \(step start\)"),
                ("hangs", planted(site.kernel, "_ZN7console3runEv", HANG), r"^", hung),
                ("early", planted(site.kernel, "_ZN5sched4initEv", HANG), r"^", hung),
                ("blind", site.kernel.replace(b"GGUF", b"GGUX"), "has not proved itself", r"check: .* \(step model\)")):
            site.update(name, elf, "99.2")
            falls_back(site, firmware, name, says, why)
            print(f"# {name}: the kernel before it is back, {firmware}", flush=True)


@thorough
def bad_kernels_by_bios():
    """kernels that panic, hang and cannot load the model are tried once by SeaBIOS"""
    every_bad_kernel("seabios")


@thorough
def bad_kernels_by_uefi():
    """kernels that panic, hang and cannot load the model are tried once by OVMF"""
    every_bad_kernel("ovmf")


@thorough
def one_cpu():
    """a machine with one CPU is updated; a kernel that panics and one that hangs with interrupts off are taken back"""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(folder)
        site.cpus = 1
        becomes_good(site, "seabios")
        for name, code, says, why in (("panics", PANIC, "PANIC", "panic: "), ("hangs", HANG, r"^", "hang: cpu 0 ")):
            site.update(name, planted(site.kernel, "_ZN7console3runEv", code), "99.2")
            falls_back(site, "seabios", name, says, rf"{why}.* \(step start\)")


@thorough
def a_network_that_is_gone():
    """a kernel that gets no network address, as the one before it had, is taken back with that reason"""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(folder, ONLINE)
        site.update("good", site.kernel)
        site.online()
        with site.guest() as guest:
            to_prompt(guest, 150)
            guest.until("mount", "/disk/vda", 60)
            guest.until("ip", ADDRESS, 60)
            site.puts(guest, "good")
            check("get a network address" in guest.output, guest.output[-2000:])
        site.net = "none"
        why = r"there is no network address, as there was before"
        site.resets("seabios", why)
        with site.guest() as guest:
            text = site.starts(guest, rf"update: the kernel in slot a was tried and has not proved itself: check: {why} \(step network\)")
            check(re.search(r"installed +of the installation, runs \(.*\), starts\n", text), text)


class BootVolume:
    """The boot partition of a site's disk."""

    def __init__(self, site: Site):
        text = subprocess.run([tool("sgdisk"), "-i", "2", site.image], capture_output=True, text=True, check=True).stdout
        first = int(re.search(r"First sector: (\d+)", text)[1])
        self.where = f"{site.image}@@{first * 512}"
        self.file = site.folder / "copied"

    def read(self, path: str) -> bytes:
        subprocess.run([tool("mcopy"), "-n", "-o", "-i", self.where, f"::{path}", self.file], check=True)
        return self.file.read_bytes()

    def write(self, path: str, data: bytes) -> None:
        self.file.write_bytes(data)
        subprocess.run([tool("mcopy"), "-n", "-o", "-i", self.where, self.file, f"::{path}"], check=True)


@thorough
def the_block_after_a_power_cut():
    """GRUB starts the tried kernel before it has taken the try back, the good one after it, and the installed one by a torn block"""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(folder)
        site.update("good", site.kernel)
        with site.guest() as guest:
            to_prompt(guest, 150)
            guest.until("mount", "/disk/vda", 60)
            site.puts(guest, "good")
        volume = BootVolume(site)
        waiting, image = volume.read("/boot/grub/grubenv"), site.image.read_bytes()
        check(b"\ntry=a\nleft=1\n" in waiting[:512] and waiting[512:] == b"#" * 512, str(waiting))
        taken_back = waiting.replace(b"left=1", b"left=0")
        for name, block, says in (
                ("before save_env", waiting, r"this kernel \(.*, slot a\) is on trial"),
                ("after save_env", taken_back, r"the kernel in slot a was tried and has not proved itself: not known: power loss"),
                ("a lost first sector", bytes(512) + waiting[512:], PROMPT_OR_TALK),
                ("a lost second sector", waiting[:512] + bytes(512), PROMPT_OR_TALK),
                ("a torn name", waiting.replace(b"good=installed\n", b"good=astalled\n#"), PROMPT_OR_TALK),
                ("an empty file", b"", PROMPT_OR_TALK)):
            site.image.write_bytes(image)
            volume.write("/boot/grub/grubenv", block)
            with site.guest() as guest:
                guest.expect(says, 150)
                check("PANIC" not in guest.output, guest.output[-2000:])
            print(f"# {name}: a sound kernel has started", flush=True)


if __name__ == "__main__":
    if ALL:
        sys.argv.remove("all")
    main()
