#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The ARM64 kernel on boards that QEMU does not have: its `virt` machine with another device tree."""
import pathlib
import struct
import tempfile

import device_tree
from debugger import Debugger
from device_tree import cells, text
from disk_images import Image, disk, hash_of_reads
from harness import PROMPT, Guest, case, check, main, need
from qemu_test import MACHINES
from wire import Peer

ARM = MACHINES["aarch64"]
RAM, LOADED_AT, END_OF_32_BITS = 0x40000000, 0x40200000, 1 << 32


def kernel() -> pathlib.Path:
    return need(ARM.kernel, "make kernel ARCH=aarch64")


# A 16550 for PCI lies behind ports, and ports of this machine lie in memory. The firmware that would give it a port
# is the debugger; a second device with an address keeps Marrow from giving all devices new ones.
CONFIGURATION, PORTS, UART, OTHER = 0x3f000000, 0x3eff0000, 3, 4
LINE_OF_UART = 3 + UART % 4  # of the GIC's shared lines: QEMU's four for pins


def place_uart(debugger: Debugger, port: int) -> None:
    command, bar = 0x04, 0x10
    debugger.use_physical_addresses()
    debugger.write(CONFIGURATION + (OTHER << 15) + bar, 0x10000000)
    debugger.write(CONFIGURATION + (UART << 15) + bar, port)
    debugger.write(CONFIGURATION + (UART << 15) + command, 1)
    debugger.go()


@case
def a_16550_in_memory_is_the_console():
    """the device tree names a 16550: prompt, commands by interrupt, a long line, power-off; no byte goes to the PL011"""
    board, port = "virt,gic-version=3,highmem=off", 0x1000
    with tempfile.TemporaryDirectory() as folder:
        tree = device_tree.of_machine(ARM.program, board, 2, folder)
        name = f"serial@{PORTS + port:x}"
        tree.child(name, compatible=text("ns16550a"), reg=cells(0, PORTS + port, 0, 8), interrupts=cells(0, LINE_OF_UART, 4))
        tree.at("chosen").properties["stdout-path"] = text("/" + name)
        blob, silent = pathlib.Path(folder) / "board.dtb", pathlib.Path(folder) / "pl011"
        blob.write_bytes(device_tree.write(tree))
        extra = ["-chardev", "stdio,id=c", "-device", f"pci-serial,chardev=c,addr={UART}", "-device", f"pci-testdev,addr={OTHER}",
                 "-dtb", str(blob), "-S", "-gdb", f"unix:{folder}/gdb,server=on,wait=off"]
        with Guest(kernel=kernel(), board=board, memory="256M", append="log=info", serial=f"file:{silent}", extra=extra) as guest:
            place_uart(Debugger(f"{folder}/gdb"), port)
            guest.expect(PROMPT, 60)
            check("polled" not in guest.output, guest.output)
            words = "0123456789" * 40
            check(words in guest.command_output(f"echo {words}", 30).split("\n", 1)[1], guest.output[-1000:])
            check("2 present, 2 working" in guest.command_output("cpu"), guest.output[-1000:])
            guest.send("poweroff\r")
            check(guest.wait_exit(30) == 0, "the exit status of a power-off")
        check(silent.read_bytes() == b"", silent.read_bytes()[:200])


@case
def no_memory_below_4_gib():
    """a board whose RAM lies above 4 GiB but for the kernel: drivers say so, disks and a card with 64 bits work"""
    board = "virt,gic-version=3"
    image_bytes = struct.unpack_from("<Q", kernel().read_bytes(), 16)[0]
    behind = LOADED_AT + (image_bytes + 0xffff & ~0xffff)
    with tempfile.TemporaryDirectory() as folder, Image(16) as image, Image(8) as other, Peer() as peer:
        tree = device_tree.of_machine(ARM.program, board, 2, folder)
        kept = tree.child("reserved-memory", __address_cells=cells(2), __size_cells=cells(2), ranges=b"")
        for begin, end in ((RAM, LOADED_AT), (behind, END_OF_32_BITS)):
            kept.child(f"kept@{begin:x}", reg=cells(0, begin, 0, end - begin))
        blob = pathlib.Path(folder) / "board.dtb"
        blob.write_bytes(device_tree.write(tree))
        extra = [*disk(image, "virtio-blk-pci"), *disk(other, "nvme"), *peer.netdev("n"), "-device", "e1000e,netdev=n",
                 "-dtb", str(blob)]
        with Guest(kernel=kernel(), board=board, memory="5G", extra=extra) as guest:
            guest.expect(PROMPT, 60)
            for name, path in (("vda", image), ("nvme0n1", other)):
                guest.until("drivers", f"{name} .*ready", 30)
                said = guest.command_output(f"disk verify {name} 5 300", 60)
                check(hash_of_reads(path, 5, 300) in said, f"{name}: {said}\n{guest.command_output('dmesg')[-1500:]}")
            guest.until("drivers", "eth0 .*link up", 30)
            said = guest.command_output("nic bench eth0 500", 60)
            check("500 back, 0 lost, 0 wrong" in said, said)
            check("no memory for drivers below 4 GiB" in guest.command_output("dmesg"), guest.output)
            check("every page is accounted for" in guest.command_output("mem check"), guest.output[-1500:])


if __name__ == "__main__":
    main()
