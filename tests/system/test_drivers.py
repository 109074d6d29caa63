#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The Linux drivers in QEMU: disks against their image, cards against an echoing peer, and device failures.

MARROW_KERNEL=build/aarch64/marrow.efi runs them on ARM64, MARROW_BOARD=virt,gic-version=2 on that machine of QEMU's.
"""
import os
import re
import socket
import tempfile
import time

from disk_images import Image, hash_of_reads, numbers
from harness import KERNEL, PROMPT, Guest, Monitor, Skip, case, check, main, timed
from qemu_test import MACHINES, machine_of
from wire import Peer

BOARD = os.environ.get("MARROW_BOARD")
ON_ARM = machine_of(KERNEL) is MACHINES["aarch64"]


def disk(path: str, device: str, name: str = "d", more: str = "") -> list[str]:
    return ["-drive", f"file={path},format=raw,if=none,id={name}{more}", "-device", f"{device},drive={name}"]


NVME = "nvme,serial=marrow"
DISKS = {"vda": "virtio-blk-pci", "nvme0n1": NVME}
CARDS = ["e1000e", "virtio-net-pci", "e1000"] + ([] if ON_ARM else ["vmxnet3"])


class Machine(Guest):
    """A guest at its prompt, with its devices found."""

    def __init__(self, extra: list[str], wait_for: str, **more):
        super().__init__(cpus=more.pop("cpus", 1), memory=more.pop("memory", "512M"), extra=extra, board=BOARD, **more)
        self.wait_for = wait_for

    def __enter__(self):
        super().__enter__()
        self.expect(PROMPT, 30)
        self.until("drivers", self.wait_for, 30)
        return self

    def healthy(self) -> None:
        text = self.command_output("mem check")
        check("every page is accounted for" in text, f"mem check: {text}")
        check("PANIC" not in self.output, self.output[-3000:])
        if "debug" in str(KERNEL):
            text = self.command_output("drivers")
            found = re.search(r"lock order: [1-9]\d* kinds of locks, \d+ orders seen, 0 inversions", text)
            check(found is not None, f"lock order: {text}\n{self.command_output('dmesg')}")
            print("# " + found[0])


def verify(guest: Machine, name: str, image: str, seed: int, count: int) -> None:
    text = guest.command_output(f"disk verify {name} {seed} {count}", 120)
    right = hash_of_reads(image, seed, count) in text
    check(right, "" if right else f"{name}: {text}\n{guest.command_output('dmesg')[-1500:]}")


def verified(device: str, name: str, count: int, extra: tuple[str, ...] = (), **more) -> None:
    with Image() as image, Machine(disk(image, device) + list(extra), rf"{name} .*ready", **more) as guest:
        verify(guest, name, image, 7, count)
        guest.healthy()


@case
def random_reads():
    """virtio-blk and NVMe: 10,000 reads at random places, 16 in flight, equal the image"""
    for name, device in DISKS.items():
        verified(device, name, 10000)


@case
def reads_above_4_gib():
    """reads land in memory above 4 GiB when the machine has it"""
    for name, device in DISKS.items():
        verified(device, name, 500, memory="6G")


@case
def reads_with_little_memory():
    """drivers.memory=8: both disks and both cards still start, reads are right"""
    with Image() as image:
        extra = disk(image, "virtio-blk-pci", "a", ",file.locking=off,readonly=on")
        extra += disk(image, NVME, "b", ",file.locking=off,readonly=on")
        extra += ["-nic", "user,model=e1000e", "-nic", "user,model=virtio-net-pci"]
        with Machine(extra, "nvme0n1 .*ready", append="drivers.memory=8") as guest:
            verify(guest, "vda", image, 3, 500)
            verify(guest, "nvme0n1", image, 4, 500)
            print("# " + guest.command_output("drivers").splitlines()[-1])
            guest.healthy()


@case
def writes():
    """what is written is read back, and the image has it"""
    for name, device in DISKS.items():
        with Image(16) as image:
            with Machine(disk(image, device), rf"{name} .*ready") as guest:
                text = guest.command_output(f"disk fill {name} 1000 20000 5", 60)
                check("20000 blocks from 1000 written, 0 words differ" in text, text)
                guest.send("poweroff\r")
                guest.wait_exit(10)
            rng = numbers(5)
            expected = b"".join(next(rng).to_bytes(8, "little") for _ in range(20000 * 64))
            with open(image, "rb") as file:
                file.seek(1000 * 512)
                check(file.read(len(expected)) == expected, f"{name}: the image differs")


@case
def pin_interrupts():
    """virtio with neither MSI-X nor MSI works by the shared interrupt line"""
    with Image() as image, Peer() as peer:
        extra = disk(image, "virtio-blk-pci,vectors=0")
        extra += peer.netdev("n") + ["-device", "virtio-net-pci,netdev=n,vectors=0"]
        with Machine(extra, "vda .*ready") as guest:
            verify(guest, "vda", image, 9, 500)
            text = guest.command_output("nic bench eth0 2000", 60)
            check("2000 back, 0 lost, 0 wrong" in text, text)
            guest.healthy()


@case
def pin_interrupts_behind_bridges():
    """a disk behind a root port and a bridge, a card behind one more bridge: both work by their interrupt lines"""
    with Image(16) as image, Peer() as peer:
        extra = ["-device", "pcie-root-port,id=near,chassis=1,slot=1,addr=5", "-device", "pcie-pci-bridge,id=outer,bus=near",
                 "-device", "pci-bridge,id=inner,bus=outer,chassis_nr=2,addr=3"]
        extra += disk(image, "virtio-blk-pci,vectors=0,bus=outer,addr=2")
        extra += peer.netdev("n") + ["-device", "e1000,netdev=n,bus=inner,addr=6"]
        with Machine(extra, "vda .*ready") as guest:
            verify(guest, "vda", image, 9, 500)
            guest.until("drivers", "eth0 .*link up", 15)
            text = guest.command_output("nic bench eth0 500", 60)
            check("500 back, 0 lost, 0 wrong" in text, text)
            guest.healthy()


@case
def other_interrupts():
    """NVMe, SATA and e1000e with plain MSI, then with interrupt lines alone: reads are right, frames come back"""
    for most in (2, 1):
        with Image(16) as image, Image(8) as sata, Peer() as peer:
            extra = disk(image, NVME) + drive(sata, "sata") + SATA + peer.netdev("n") + ["-device", "e1000e,netdev=n"]
            with Machine(extra, "sda .*ready", append=f"drivers.parameters=shim.interrupts={most}") as guest:
                guest.until("drivers", "nvme0n1 .*ready", 15)
                verify(guest, "nvme0n1", image, most, 500)
                verify(guest, "sda", sata, most, 300)
                guest.until("drivers", "eth0 .*link up", 15)
                text = guest.command_output("nic bench eth0 2000", 60)
                check("2000 back, 0 lost, 0 wrong" in text, text)
                guest.healthy()


def card(peer: Peer, model: str, **more) -> Machine:
    return Machine(peer.netdev("n") + ["-device", f"{model},netdev=n,id=card"], "eth0 .*link up", **more)


def frames_back(count: int) -> None:
    for model in CARDS:
        with Peer() as peer, card(peer, model) as guest:
            text = guest.command_output(f"nic bench eth0 {count}", 120)
            lost = peer.lost_outside()
            check(f" {count - lost} back, {lost} lost, 0 wrong" in text, f"{model}: {lost} lost outside\n{text}")
            print(f"# {model}: " + text.splitlines()[-1])
            guest.healthy()


@case
def frames_come_back():
    """each card: 5,000 frames of 1514 bytes out and back, every byte checked"""
    frames_back(5000)


@timed
def frames_come_back_for_long():
    """each card: 50,000 of them within two minutes"""
    frames_back(50000)


@case
def frames_of_every_size():
    """each card: frames of 22 to 1514 bytes, and the round trip of one"""
    for model in CARDS:
        with Peer() as peer, card(peer, model) as guest:
            for size in (22, 59, 60, 61, 64, 127, 128, 129, 256, 1000, 1500, 1513, 1514):
                before = peer.lost_outside()
                text = guest.command_output(f"nic bench eth0 200 {size}", 60)
                lost = peer.lost_outside() - before
                check(f" {200 - lost} back, {lost} lost, 0 wrong" in text, f"{model}: {lost} lost outside\n{text}")
            text = guest.command_output("nic ping eth0 500", 60)
            check("500 back, 0 lost, 0 wrong" in text, f"{model}: {text}")
            print(f"# {model} ping: " + text.splitlines()[-1])


@case
def loss_and_reordering():
    """5 % loss and 5 % reordering: the frames that come back are right, the lost ones are counted"""
    for model in CARDS:
        with Peer(loss=0.05, swap=0.05) as peer, card(peer, model) as guest:
            text = guest.command_output("nic bench eth0 5000", 120)
            check(f" 5000 frames of 1514 bytes sent, {5000 - peer.dropped} back, {peer.dropped} lost, 0 wrong" in text,
                  f"{model}: peer dropped {peer.dropped} of {peer.seen}\n{text}")
            guest.healthy()


def monitor(folder: str) -> tuple[Monitor, list[str]]:
    return Monitor(f"{folder}/monitor"), ["-monitor", f"unix:{folder}/monitor,server=on,wait=off"]


@case
def link_flaps():
    """the monitor takes the link down and up: virtio-net reports it, frames flow again on both cards"""
    for model in CARDS:
        # QEMU 7.2's e1000e raises its third vector (link changes) once and not again, so the driver
        # does not learn of a lost link; frames then are lost, and counted as such.
        told = model != "e1000e"
        with tempfile.TemporaryDirectory() as folder, Peer() as peer:
            control, extra = monitor(folder)
            extra += peer.netdev("n") + ["-device", f"{model},netdev=n,id=card"]
            with Machine(extra, "eth0 .*link up") as guest:
                for _ in range(3):
                    control.say("set_link card off")
                    if told:
                        guest.until("drivers", "eth0 .*no link", 10)
                    text = guest.command_output("nic bench eth0 10")
                    check("network is down" in text if told else "10 lost, 0 wrong" in text, f"{model}: {text}")
                    control.say("set_link card on")
                    guest.until("drivers", "eth0 .*link up", 15)
                    guest.until("nic bench eth0 500", "500 back, 0 lost, 0 wrong", 20)
                guest.healthy()


SLOT = ["-device", "pcie-root-port,id=slot1,chassis=1,slot=1"]
if not ON_ARM:
    SLOT = ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off", *SLOT]


@case
def unplug_during_reads():
    """device_del while reads run: an error, the disk is gone, the machine goes on"""
    for name, device in DISKS.items():
        with tempfile.TemporaryDirectory() as folder, Image() as image:
            control, extra = monitor(folder)
            extra += SLOT + disk(image, f"{device},bus=slot1,id=away")
            with Machine(extra, rf"{name} .*ready") as guest:
                begin = len(guest.output)
                guest.send(f"disk verify {name} 1 1000000\r")
                time.sleep(1)
                control.say("device_del away")
                guest.expect(r"\nmarrow> ", 30, begin)
                # Reads in flight end with an I/O error, later ones are refused: either message may be first.
                check(re.search("the device is gone|input/output error", guest.output[begin:]), guest.output[begin:])
                guest.until("drivers", rf"{name} .*gone", 10)
                end = time.monotonic() + 10
                while "away" in control.say("info qtree"):
                    check(time.monotonic() < end, "QEMU still has the device")
                    time.sleep(0.2)
                check("gone" in guest.command_output(f"disk read {name} 0"), "a gone disk was read")
                guest.healthy()


@case
def behind_hot_plug_ports():
    """a disk and both cards that are behind hot-plug ports at the start work (libvirt writes machines like this)"""
    with Image(16) as image, Peer() as one, Peer() as two:
        extra = [w for i in (1, 2, 3) for w in ("-device", f"pcie-root-port,id=rp{i},chassis={i},slot={i}")]
        extra += disk(image, NVME + ",bus=rp1") + one.netdev("m") + ["-device", "e1000e,netdev=m,bus=rp2"]
        extra += two.netdev("n") + ["-device", "virtio-net-pci,netdev=n,bus=rp3"]
        with Machine(extra, "eth1 .*link up") as guest:
            verify(guest, "nvme0n1", image, 3, 300)
            for name in ("eth0", "eth1"):
                guest.until("drivers", f"{name} .*link up", 15)
                text = guest.command_output(f"nic bench {name} 500", 60)
                check("500 back, 0 lost, 0 wrong" in text, text)
            check("removed" not in guest.command_output("drivers"), guest.output)
            guest.healthy()


@case
def behind_other_host_bridges():
    """a second host bridge (servers, large desktops): the disks behind it are found, their reads equal the image"""
    if ON_ARM:
        raise Skip("only ACPI tells of QEMU's second bridge there, and -kernel has none")
    with Image(16) as image:
        extra = ["-device", "pxb-pcie,id=pxb,bus_nr=128,bus=pcie.0"]
        for i, (name, device) in enumerate(DISKS.items()):
            extra += ["-device", f"pcie-root-port,id=far{i},bus=pxb,chassis={i + 8},slot={i + 8}"]
            extra += disk(image, f"{device},bus=far{i}", name, ",file.locking=off,readonly=on")
        with Machine(extra, "nvme0n1 .*ready") as guest:
            for name in DISKS:
                verify(guest, name, image, 3, 300)
            print("# " + re.search(r"\d+ functions in [\d.]+ ms", guest.command_output("dmesg"))[0])
            guest.healthy()


def failing_disk(image: str, device: str, once: bool) -> list[str]:
    """A disk whose sector 2048 cannot be read."""
    return ["-blockdev", f"driver=file,filename={image},node-name=plain",
            "-blockdev", "driver=raw,file=plain,node-name=inner",
            "-blockdev", "driver=blkdebug,node-name=bad,image=inner,inject-error.0.event=none,"
                         f"inject-error.0.errno=5,inject-error.0.sector=2048,inject-error.0.once={'on' if once else 'off'}",
            "-device", f"{device},drive=bad"]


@case
def unreadable_sector():
    """a sector that stays unreadable: an error each time, its neighbours are read"""
    for name, device in DISKS.items():
        with Image() as image, Machine(failing_disk(image, device, False), rf"{name} .*ready") as guest:
            for _ in range(3):
                text = guest.command_output(f"disk check {name} 2048 1", 60)
                check(re.search("input/output error|unreadable sector", text), f"{name}: {text}")
                text = guest.command_output(f"disk check {name} 2056 1000")
                check("1000 blocks from 2056: " in text, f"{name}: {text}")
            guest.healthy()


@case
def sector_unreadable_once():
    """a sector that fails once: at most one error, then every byte is right"""
    for name, device in DISKS.items():
        with Image() as image, Machine(failing_disk(image, device, True), rf"{name} .*ready") as guest:
            print(f"# {name}: " + guest.command_output(f"disk check {name} 2048 1", 60).splitlines()[-1])
            text = guest.command_output(f"disk check {name} 2048 1")
            check("1 blocks from 2048: " in text, f"{name}: {text}")
            verify(guest, name, image, 2, 500)
            guest.healthy()


# A q35 has this controller already, and its buses the same names.
AHCI = ["-device", "ich9-ahci,id=ide"] if ON_ARM else []
SATA = [*AHCI, "-device", "ide-hd,drive=sata,bus=ide.0"]
XHCI = ["-device", "qemu-xhci,id=usb", "-device", "usb-kbd,bus=usb.0"]


def drive(path: str, name: str, more: str = "") -> list[str]:
    return ["-drive", f"file={path},format=raw,if=none,id={name},file.locking=off{more}"]


@case
def sata_disk_and_cd():
    """AHCI, by MSI: 3000 reads at random places of a disk and 500 of a CD-ROM equal the image; writes; a bad sector"""
    with Image(16) as image, Image(4) as cd:
        extra = drive(image, "sata") + SATA + drive(cd, "cd", ",media=cdrom") + ["-device", "ide-cd,drive=cd,bus=ide.1"]
        with Machine(extra, "sr0 .*ready") as guest:
            verify(guest, "sda", image, 11, 3000)
            text = guest.command_output("disk verify sr0 12 500", 60)
            check(hash_of_reads(cd, 12, 500, 2048) in text, text)
            text = guest.command_output("disk fill sda 100 2000 6", 60)
            check("2000 blocks from 100 written, 0 words differ" in text, text)
            check(re.search(r"sr0 +ahci +4 +2048 +ro", guest.command_output("lsblk")), "lsblk: no CD")
            guest.healthy()
    with Image(16) as image, Machine(AHCI + failing_disk(image, "ide-hd,bus=ide.0", False), "sda .*ready") as guest:
        text = guest.command_output("disk check sda 2048 1", 60)
        check(re.search("input/output error|unreadable sector", text), text)
        check("1000 blocks from 2056: " in guest.command_output("disk check sda 2056 1000"), "the neighbours")
        guest.healthy()


@case
def usb_stick_and_keyboard():
    """xHCI: a stick's reads equal the image, it is pulled out during reads; commands typed on a USB keyboard run"""
    with tempfile.TemporaryDirectory() as folder, Image(16) as image:
        control, extra = monitor(folder)
        extra += XHCI + drive(image, "stick") + ["-device", "usb-storage,bus=usb.0,drive=stick,id=stick"]
        with Machine(extra, "sda .*ready") as guest:
            verify(guest, "sda", image, 13, 500)
            text = guest.command_output("lsusb")
            check(re.search("usb-storage +5000 46f4:0001", text) and re.search("usbhid +480 0627:0001", text), text)
            begin = len(guest.output)
            for key in ("e", "c", "h", "o", "spc", "shift-u", "s", "b", "ret"):
                control.say(f"sendkey {key}")
                time.sleep(0.1)
            guest.expect(r"\nUsb\n", 10, begin)
            check("usb keyboard: part of the console" in guest.command_output("dmesg"), "typed past the USB keyboard")
            begin = len(guest.output)
            guest.send("disk verify sda 1 1000000\r")
            time.sleep(1)
            control.say("device_del stick")
            guest.expect(r"\nmarrow> ", 60, begin)
            check(re.search("the device is gone|input/output error", guest.output[begin:]), guest.output[begin:])
            guest.until("drivers", "sda .*gone", 30)
            guest.until("lsusb", r"\A(?![\s\S]*usb-storage)", 30)  # the device goes after its disk
            guest.healthy()


@case
def machines_short_of_memory():
    """32 and 48 MiB: the drivers start with less memory than configured, and say so; lists end"""
    for memory in ("32M", "48M"):
        with Machine(XHCI, "1b36:000d +running", memory=memory) as guest:
            check("MiB of memory for drivers instead of 32" in guest.command_output("dmesg"), guest.output)
            guest.until("lsusb", "usbhid +480 0627:0001", 30)
            guest.healthy()


@case
def disks_of_virtual_machines():
    """virtio-scsi and VMware's pvscsi: reads equal the image, writes are read back, a bad sector is an error"""
    for controller in ("virtio-scsi-pci",) if ON_ARM else ("virtio-scsi-pci", "pvscsi"):
        with Image(16) as image:
            extra = ["-device", f"{controller},id=scsi"] + drive(image, "d") + ["-device", "scsi-hd,bus=scsi.0,drive=d"]
            with Machine(extra, "sda .*ready") as guest:
                verify(guest, "sda", image, 11, 1000)
                text = guest.command_output("disk fill sda 100 2000 6", 60)
                check("2000 blocks from 100 written, 0 words differ" in text, f"{controller}: {text}")
                guest.healthy()
        with Image(16) as image:
            extra = ["-device", f"{controller},id=scsi"] + failing_disk(image, "scsi-hd,bus=scsi.0", False)
            with Machine(extra, "sda .*ready") as guest:
                text = guest.command_output("disk check sda 2048 1", 60)
                check(re.search("input/output error|unreadable sector", text), f"{controller}: {text}")


@case
def devices_without_a_driver():
    """a card without a driver is named at the start and by lsnet, ip and net, with a card to use; a driver's table may be too wide"""
    extra = ["-device", "rtl8139", "-object", "memory-backend-ram,id=m,size=1M,share=on", "-device", "ivshmem-plain,memdev=m"]
    with Machine(extra, r"(?m)^- +\S+ +1af4:1110 +no driver") as guest:
        sentence = r"no driver for this network card of Realtek \(10ec:8139\): use one of Intel"
        guest.expect(sentence, 20)
        check(all(re.search(sentence, guest.command_output(word)) for word in ("lsnet", "ip", "net")), guest.output)


@case
def random_numbers_and_console():
    """virtio-rng gives entropy; a virtio console shows the prompt and takes commands"""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/console"
        extra = ["-device", "virtio-rng-pci", "-device", "virtio-serial-pci", "-device", "virtconsole,chardev=c",
                 "-chardev", f"socket,id=c,path={path},server=on,wait=off"]
        with Machine(extra, r"[1-9]\d* bits of entropy") as guest, \
                socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(path)
            line.settimeout(20)
            begin = len(guest.output)
            line.sendall(b"echo from the line\r")
            said = b""
            while b"\nfrom the line" not in said.replace(b"\r", b""):
                guest.pump(0)
                said += line.recv(4096)
            guest.expect(r"\nfrom the line\nmarrow> ", 10, begin)
            guest.healthy()


@case
def controller_resets():
    """NVMe is reset through its driver before each of four rounds of reads: every byte is right; after that of e1000e frames flow"""
    with Image() as image, Peer() as peer:
        extra = disk(image, NVME + ",addr=8") + peer.netdev("n") + ["-device", "e1000e,netdev=n,addr=9"]
        with Machine(extra, "eth0 .*link up") as guest:
            for seed in range(4):
                begin = len(guest.output)
                guest.send(f"drivers reset 00:08.0; disk verify nvme0n1 {seed} 500\r")
                guest.expect(r"\n500 reads.*\n", 60, begin)
                check(hash_of_reads(image, seed, 500) in guest.output[begin:], guest.output[begin:])
            guest.command_output("drivers reset 00:09.0")
            guest.until("drivers", "eth0 .*link up", 15)
            guest.until("nic bench eth0 500", "500 back, 0 lost, 0 wrong", 20)
            if not ON_ARM:
                check("cannot reset" in guest.command_output("drivers reset 00:1f.2"), "ahci has no way")
            check("no such PCI function" in guest.command_output("drivers reset 07:00.0"), "nothing is there")
            guest.healthy()


@case
def reset_during_reads():
    """NVMe is reset twenty times while reads are in flight: every byte is right or the read is an error, the disk goes on"""
    with Image() as image:
        with Machine(disk(image, NVME + ",addr=8"), "nvme0n1 .*ready") as guest:
            for seed in range(20):
                begin = len(guest.output)
                guest.send(f"drivers reset 00:08.0 {30 + 7 * seed}; disk verify nvme0n1 {seed} 700\r")
                guest.expect(r"\n700 reads.*\n|error", 25, begin)  # below the 30 s after which the driver gives up a command
                said = guest.output[begin:]
                check(hash_of_reads(image, seed, 700) in said or "input/output error" in said, said)
            check(guest.command_output("dmesg").count("resetting") == 20, "twenty resets were asked for")
            verify(guest, "nvme0n1", image, 41, 300)
            guest.healthy()


@case
def command_timeouts():
    """NVMe commands that take longer than the driver waits: it aborts, resets, and all bytes come right or as an error"""
    with Image(16) as image:
        # QEMU serves two requests a second, so sixteen at once exceed the driver's timeout of one second; a reset flushes them.
        extra = drive(image, "slow", ",throttling.iops-total=2") + ["-device", NVME + ",drive=slow"]
        with Machine(extra, "nvme0n1 .*ready", append="drivers.parameters=nvme_core.io_timeout=1") as guest:
            text = guest.command_output("disk verify nvme0n1 5 20", 120)
            print("# " + text.splitlines()[-1][:100])
            check(hash_of_reads(image, 5, 20) in text or re.search("did not answer in time|output error", text), text)
            log = guest.command_output("dmesg")
            check("aborting" in log and re.search("reset controller|Abort status", log), log[-3000:])
            guest.healthy()


@case
def mappings_run_out():
    """DMA mappings fail: reads are right after a retry or end in an error; later reads are right; frames come back"""
    with Image() as image, Image(16) as sata, Peer() as peer:
        extra = disk(image, NVME) + drive(sata, "sata") + SATA + peer.netdev("n") + ["-device", "e1000e,netdev=n"]
        with Machine(extra, "sda .*ready") as guest:
            for name, path in (("nvme0n1", image), ("sda", sata)):
                guest.command_output(f"drivers starve {3 if name == 'sda' else 20}")
                text = guest.command_output(f"disk verify {name} 21 200", 60)
                check(hash_of_reads(path, 21, 200) in text or re.search("error|memory", text), text)
                guest.command_output("drivers starve 0")
                verify(guest, name, path, 22, 200)
            guest.until("drivers", "eth0 .*link up", 15)
            guest.command_output("drivers starve 20")
            guest.command_output("nic bench eth0 200", 60)
            guest.command_output("drivers starve 0")
            guest.until("nic bench eth0 200", "200 back, 0 lost, 0 wrong", 20)
            guest.healthy()


@case
def payload_is_not_copied():
    """64 MiB from NVMe, virtio-blk and SATA each: the CPU copies under a hundredth of what devices move"""
    with Image() as image:
        extra = disk(image, NVME, "a", ",file.locking=off,readonly=on")
        extra += disk(image, "virtio-blk-pci", "b", ",file.locking=off,readonly=on") + drive(image, "sata") + SATA
        with Machine(extra, "sda .*ready") as guest:
            def counters() -> tuple[int, int]:
                found = re.search(r"(\d+) KiB copied by the CPU in driver code, (\d+) KiB moved by disks in place",
                                  guest.command_output("drivers"))
                return int(found[1]), int(found[2])
            for name in ("nvme0n1", "vda", "sda"):
                before = counters()
                guest.command_output(f"disk bench {name} 64", 60)
                copied, moved = (after - was for after, was in zip(counters(), before))
                print(f"# {name}: {moved} KiB moved, {copied} KiB copied")
                check(moved >= 65536 and copied < 655, f"{name}: {copied} KiB copied, {moved} KiB in place")


@case
def unplug_a_card():
    """device_del while frames fly: the card disappears, sending fails, the machine goes on"""
    for model in CARDS:
        with tempfile.TemporaryDirectory() as folder, Peer() as peer:
            control, extra = monitor(folder)
            extra += SLOT + peer.netdev("n") + ["-device", f"{model},netdev=n,bus=slot1,id=away"]
            with Machine(extra, "eth0 .*link up") as guest:
                begin = len(guest.output)
                guest.send("nic bench eth0 1000000\r")
                time.sleep(1)
                control.say("device_del away")
                guest.expect(r"\nmarrow> ", 60, begin)
                guest.until("drivers", "eth0 .*no link", 10)
                check("network is down" in guest.command_output("nic bench eth0 10"), f"{model}: a gone card sent")
                guest.healthy()


def thread_time(text: str) -> float:
    """Milliseconds that all threads but main have run, as `threads` prints them."""
    rows = re.findall(r"^(\S+) +(?:waiting|sleeping|runnable) +([\d.]+)", text, re.M)
    return sum(float(ms) for name, ms in rows if name != "main")


@timed
def idle_costs_nothing():
    """an idle machine with both cards and both disks: drivers run under 0.5 % of the time"""
    with Image(16) as image, Peer() as one, Peer() as two:
        extra = disk(image, "virtio-blk-pci", "a", ",file.locking=off,readonly=on")
        extra += disk(image, NVME, "b", ",file.locking=off,readonly=on")
        extra += one.netdev("m") + ["-device", "e1000e,netdev=m"]
        extra += two.netdev("n") + ["-device", "virtio-net-pci,netdev=n"]
        with Machine(extra, "eth1 .*link up") as guest:
            time.sleep(3)
            before, begin = thread_time(guest.command_output("threads")), time.monotonic()
            time.sleep(10)
            took = thread_time(guest.command_output("threads")) - before
            seconds = time.monotonic() - begin
            print(f"# {took:.2f} ms in {seconds:.1f} s")
            check(took < seconds * 5, f"drivers ran {took:.2f} ms in {seconds:.1f} s")


if __name__ == "__main__":
    main()
