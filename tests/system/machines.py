#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots the image in machines that a person may have, and judges them by serial line and screen (`make test-machines`).

machines.py [SUBSTRING]                    the table: TABLE and MATRIX below
machines.py SEED=7 [COUNT=200] [FIRST=0]   machines drawn at random; the same seed draws the same ones
machines.py ANSWERS=1                      a question typed and answered, by keyboard and screen alone, in the machines of ASKED

A machine reaches the prompt on each console it has, finds its CPUs, takes a command from its keyboard and switches
itself off; or it refuses, with a sentence that is on each console. test_boot.py takes the rows it has time for from here.
"""
import dataclasses
import itertools
import random
import re
import sys
import time

from harness import CPU_FAST, MODEL, PROMPT, Guest, Hang, check, in_pairs, need, small_iso
from qemu_test import PATIENCE
from screen import ScreenGuest

OVMF = "/usr/share/ovmf/OVMF.fd"
FIRMWARE = {"seabios": [], "ovmf": ["-bios", OVMF]}
XHCI = ["-device", "qemu-xhci,id=usb"]
USB_KEYBOARD = [*XHCI, "-device", "usb-kbd,bus=usb.0"]
# The keyboard sits behind two hubs and after another device, as in a monitor or a dock.
HUB_KEYBOARD = [*XHCI, "-device", "usb-hub,bus=usb.0,port=1", "-device", "usb-hub,bus=usb.0,port=1.2",
                "-device", "usb-mouse,bus=usb.0,port=1.1", "-device", "usb-kbd,bus=usb.0,port=1.2.3"]
NO_8042 = ["-machine", "q35,i8042=off"]
ROOT_PORTS = [word for i in range(4) for word in ("-device", f"pcie-root-port,id=port{i},chassis={i},slot={i}")]
SCSI_DISK = ["-drive", "if=none,id=zero,file=null-co://,format=raw,file.size=64M", "-device", "scsi-hd,drive=zero"]


def drive(iso, device: str) -> list[str]:
    return ["-drive", f"file={iso},format=raw,if=none,id=medium,readonly=on", "-device", f"{device},drive=medium,bootindex=0"]


MEDIUM = {
    "cd": lambda iso: ["-cdrom", str(iso), "-boot", "d"],
    "stick": lambda iso: ["-device", "qemu-xhci", *drive(iso, "usb-storage")],
    "virtio": lambda iso: drive(iso, "virtio-blk-pci"),
    "nvme": lambda iso: drive(iso, "nvme,serial=1"),
    "port": lambda iso: [*ROOT_PORTS, *drive(iso, "virtio-blk-pci,bus=port0")],
}
SCREENS = {
    "vga": [], "edid": ["-vga", "none", "-device", "VGA,edid=on,xres=1366,yres=768"],
    "cirrus": ["-vga", "cirrus"], "qxl": ["-vga", "qxl"],
    "virtio": ["-vga", "virtio"], "vmware": ["-vga", "vmware"], "none": ["-vga", "none"],
    "bochs": ["-vga", "none", "-device", "bochs-display"],
    "4k": ["-vga", "none", "-device", "bochs-display,xres=3840,yres=2160,vgamem=64M"],
}
# A machine may say one of these instead of a prompt.
REFUSALS = (r"Execute-disable \(NX, XD\) is off: turn it on", r"needs a 64-bit CPU")


@dataclasses.dataclass
class Machine:
    name: str
    firmware: str = "seabios"
    medium: str = "cd"
    cpus: str = "2"  # as -smp takes it
    memory: str = "512M"
    screen: str = "vga"
    serial: bool = True
    cpu: str = CPU_FAST
    extra: tuple = ()
    refuses: bool = False

    def count(self) -> int:
        return int(self.cpus.split(",")[0])

    def row(self) -> str:
        consoles = ("serial " if self.serial else "") + ("" if self.screen == "none" else f"screen {self.screen}")
        cpu = "" if self.cpu == CPU_FAST else f" {self.cpu}"
        return f"{self.name}: {self.firmware} {self.medium} {self.cpus} cpus{cpu} {self.memory} {consoles} {' '.join(self.extra)}"

    def arguments(self) -> list[str]:
        return [*FIRMWARE[self.firmware], *self.extra, *SCREENS[self.screen]]


# firmware, medium, CPUs, RAM, console
COLUMNS = list(itertools.product(FIRMWARE, ("cd", "stick"), (1, 2, 4), ("256M", "8G"), ("both",)))
COLUMNS += list(itertools.product(FIRMWARE, ("cd", "stick"), (2,), ("1G",), ("serial", "screen")))


def machine_of(firmware, medium, cpus, memory, console) -> Machine:
    return Machine("matrix", firmware, medium, str(cpus), memory, "none" if console == "serial" else "vga", console != "screen")


MATRIX = [machine_of(*row) for row in COLUMNS]
# These rows have every value of every column, and each firmware with each medium.
REPRESENTATIVE = [machine_of(*row) for row in (
    ("seabios", "cd", 1, "256M", "both"), ("seabios", "stick", 4, "8G", "both"),
    ("ovmf", "cd", 4, "8G", "both"), ("ovmf", "stick", 1, "256M", "both"),
    ("seabios", "cd", 2, "1G", "serial"), ("ovmf", "cd", 2, "1G", "serial"),
    ("seabios", "cd", 2, "1G", "screen"), ("ovmf", "cd", 2, "1G", "screen"))]

TABLE = [
    Machine("pc", extra=("-machine", "pc")),
    Machine("pc without ACPI", extra=("-machine", "pc,acpi=off"), cpus="1"),
    Machine("pc-i440fx-2.4", extra=("-machine", "pc-i440fx-2.4"), cpu="qemu64"),
    Machine("pc, OVMF", "ovmf", extra=("-machine", "pc")),
    Machine("libvirt's ports", medium="port", extra=("-device", "virtio-net-pci,bus=port1")),
    Machine("libvirt's ports, OVMF", "ovmf", "port", extra=("-device", "virtio-net-pci,bus=port1")),
    Machine("a switch", medium="cd", extra=(*ROOT_PORTS, "-device", "x3130-upstream,bus=port2,id=up", "-device",
                                            "xio3130-downstream,bus=up,id=down,chassis=9", "-device", "virtio-net-pci,bus=down")),
    Machine("a laptop", "ovmf", "stick", screen="edid", serial=False, extra=(*NO_8042, "-device", "usb-kbd")),
    Machine("keyboard behind hubs, SeaBIOS", serial=False, extra=(*NO_8042, *HUB_KEYBOARD)),
    Machine("keyboard behind hubs, OVMF", "ovmf", serial=False, extra=(*NO_8042, *HUB_KEYBOARD)),
    Machine("VirtualBox", extra=("-machine", "pc", "-device", "ich9-ahci", "-device", "e1000", *USB_KEYBOARD)),
    Machine("VMware", extra=("-machine", "pc", "-device", "pvscsi", *SCSI_DISK, "-device", "vmxnet3"), screen="vmware"),
    Machine("VMware, OVMF", "ovmf", extra=("-device", "pvscsi", *SCSI_DISK, "-device", "vmxnet3")),
    Machine("NVMe", medium="nvme"), Machine("NVMe, OVMF", "ovmf", "nvme"), Machine("virtio disk", medium="virtio"),
    Machine("64 MiB", memory="64M"), Machine("96 MiB", memory="96M"), Machine("3 GiB", memory="3G"),
    Machine("6 GiB, a low hole", memory="6G", extra=("-machine", "q35,max-ram-below-4g=1G")),
    Machine("two nodes", cpus="4,sockets=2", memory="1G", extra=(
        "-object", "memory-backend-ram,id=m0,size=512M", "-object", "memory-backend-ram,id=m1,size=512M",
        "-numa", "node,nodeid=0,memdev=m0,cpus=0-1", "-numa", "node,nodeid=1,memdev=m1,cpus=2-3")),
    Machine("odd topology", cpus="6,sockets=1,cores=3,threads=2"), Machine("16 CPUs", cpus="16"),
    Machine("CPUs to be added later", cpus="2,maxcpus=8"),
    Machine("host bridges", extra=("-machine", "pc", "-device", "pxb,bus_nr=64,id=far", "-device", "e1000,bus=far")),
    Machine("IOMMU of Intel", extra=("-device", "intel-iommu,intremap=off", "-device", "virtio-net-pci")),
    Machine("IOMMU of Intel, OVMF", "ovmf", extra=("-device", "intel-iommu,intremap=off", "-device", "virtio-net-pci")),
    Machine("IOMMU of AMD", extra=("-device", "amd-iommu", "-device", "virtio-net-pci")),
    Machine("no clock but the TSC", cpus="1", extra=("-machine", "pc,hpet=off,pit=off,acpi=off")),
    Machine("TSC that stops", cpu=CPU_FAST + ",-invtsc"), Machine("qemu64", cpu="qemu64"), Machine("Opteron", cpu="Opteron_G1"),
    Machine("x86-64-v2", cpu="Nehalem"), Machine("CPUID ends early", cpu=CPU_FAST + ",level=12"),
    Machine("execute-disable off", cpu="max,-nx", refuses=True), Machine("32 bits", cpu="max,-lm", refuses=True),
    *(Machine(f"screen {name}", "ovmf" if name in ("bochs", "4k") else "seabios", screen=name) for name in SCREENS if name != "vga"),
    *(Machine(f"screen {name}, OVMF", "ovmf", screen=name) for name in ("cirrus", "qxl", "virtio", "edid", "none")),
]

# What people have: a plain PC, one without an old keyboard, and what three hypervisors make.
ASKED = ("pc", "keyboard behind hubs, OVMF", "libvirt's ports", "libvirt's ports, OVMF", "VirtualBox", "VMware", "VMware, OVMF")


def draw(seed: int, number: int) -> Machine:
    """Returns machine `number` of a seed. Its parts are drawn, but none that cannot be together."""
    dice = random.Random(f"{seed}/{number}")
    kind = dice.choice(("pc", "q35", "q35"))
    firmware = dice.choice(tuple(FIRMWARE))
    usb_keyboard = dice.random() < 0.4
    medium = dice.choice(("cd", "virtio", "nvme") if usb_keyboard or kind == "pc" else ("cd", "stick", "virtio", "nvme"))
    screen = dice.choice([name for name in SCREENS if firmware == "ovmf" or name not in ("bochs", "4k")])
    serial = screen == "none" or dice.random() < 0.7
    switches = [kind] + [f"{name}=off" for name in ("hpet", "smbus", "sata" if medium != "cd" else "pit") if dice.random() < 0.2]
    if kind == "q35" and usb_keyboard and dice.random() < 0.5:
        switches.append("i8042=off")
    if dice.random() < 0.2:
        switches.append(f"max-ram-below-4g={dice.choice(('512M', '1G', '2G'))}")
    extra = ["-machine", ",".join(switches)]
    if usb_keyboard:
        extra += dice.choice((USB_KEYBOARD, HUB_KEYBOARD))
    if dice.random() < 0.15:
        extra += ["-device", dice.choice(("intel-iommu", "amd-iommu")) if kind == "q35" else "ivshmem-plain,memdev=shared"]
        extra += ["-object", "memory-backend-ram,id=shared,size=1M,share=on"] if kind == "pc" else []
    for device in dice.sample(("e1000", "e1000e", "virtio-net-pci", "rtl8139", "vmxnet3", "virtio-rng-pci", "virtio-balloon-pci",
                               "ich9-ahci", "pci-ohci", "usb-ehci", "lsi53c895a", "intel-hda", "sdhci-pci", "edu"),
                              dice.randrange(4)):
        extra += ["-device", device]
    if dice.random() < 0.3:
        extra += ["-device", dice.choice(("pvscsi", "virtio-scsi-pci")), *SCSI_DISK]
    cpus = dice.choice(("1", "2", "3", "4", "4,sockets=2", "4,cores=2,threads=2", "8", "2,maxcpus=4"))
    memory = dice.choice(("256M", "333M", "512M", "1000M", "2G", "3G", "4G", "6G") if firmware == "ovmf" else
                         ("64M", "100M", "128M", "256M", "333M", "1000M", "3G", "4G", "6G"))
    refuses = dice.random() < 0.04
    cpu = dice.choice(("max,-nx", "max,-lm")) if refuses and firmware == "seabios" else dice.choice(
        (CPU_FAST, CPU_FAST, "qemu64", "Nehalem", CPU_FAST + ",-invtsc", CPU_FAST + ",-x2apic", CPU_FAST + ",level=12"))
    return Machine(f"SEED={seed} FIRST={number}", firmware, medium, cpus, memory, screen, serial, cpu, tuple(extra),
                   refuses and firmware == "seabios")


SECONDS = 150  # on a quiet machine
REFUSAL = "|".join(REFUSALS)


def reaches_prompt(machine: Machine, guest: ScreenGuest) -> bool:
    """Waits for a prompt on each console the machine has. Returns False if a refusal is on each instead."""
    found = None
    if machine.serial:
        found = guest.expect(rf"{PROMPT}|PANIC|{REFUSAL}", SECONDS)[0]
        check(found != "PANIC", guest.output[-3000:])
    if machine.screen != "none":
        lines = guest.see(rf"^marrow>$|PANIC|{REFUSAL}" if found is None else REFUSAL if re.search(REFUSAL, found) else
                          r"^marrow>$", SECONDS * PATIENCE)
        found = found or re.search(rf"^marrow>$|PANIC|{REFUSAL}", "\n".join(lines), re.M)[0]
        check(found != "PANIC", "\n".join(lines))
    refuses = re.search(REFUSAL, found) is not None
    check(refuses or not machine.refuses, "it did not refuse")
    return not refuses


def by_serial(machine: Machine, guest: Guest) -> None:
    text = guest.command_output("cpu", 60)
    check(f"cpus: {machine.count()} present, {machine.count()} working" in text, text)
    check("accounted for" in guest.command_output("mem check", 60), "mem check")


def by_screen(machine: Machine, guest: ScreenGuest) -> None:
    guest.type("cpu\n")
    guest.see(rf"cpus: {machine.count()} present, {machine.count()} working", 90 * PATIENCE)


def boot(iso, machine: Machine) -> None:
    start = time.monotonic()
    with ScreenGuest(cpus=machine.cpus, memory=machine.memory, cpu=machine.cpu, boot=MEDIUM[machine.medium](iso),
                     extra=machine.arguments(), serial="stdio" if machine.serial else "none") as guest:
        if prompt := reaches_prompt(machine, guest):
            if machine.serial:
                by_serial(machine, guest)
            if machine.screen != "none":
                by_screen(machine, guest)
            if machine.screen == "none":
                guest.send("poweroff\r")
            else:
                guest.switch_off()
            check(guest.wait_exit(60) in (0, 1), "power-off")
    print(f"ok - {machine.row()}: {'' if prompt else 'refused, '}{time.monotonic() - start:.1f} s", flush=True)


def ask(iso, machine: Machine) -> None:
    start = time.monotonic()
    with ScreenGuest(cpus=machine.cpus, memory=machine.memory, cpu=machine.cpu, boot=MEDIUM[machine.medium](iso),
                     extra=machine.arguments(), serial="none") as guest:
        guest.see(r"^you>$", 180 * PATIENCE)  # an image with a model begins with a conversation
        guest.type("What is the capital of France?\n")
        guest.see(r"Paris", 240 * PATIENCE)
        guest.see(r"^you>$", 240 * PATIENCE)
        guest.type("/exit\n")
        guest.see(r"^marrow>$", 60 * PATIENCE)
        guest.switch_off()
        check(guest.wait_exit(60) in (0, 1), "power-off")
    print(f"ok - {machine.row()}: answered, {time.monotonic() - start:.1f} s", flush=True)


def boot_all(machines) -> None:
    iso = small_iso()
    in_pairs(lambda machine: boot(iso, machine), [(machine,) for machine in machines])


def main() -> None:
    words = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    wanted = next((word for word in sys.argv[1:] if "=" not in word), "")
    asks = "ANSWERS" in words
    if asks:
        machines = [dataclasses.replace(machine, serial=False, memory="1G") for machine in TABLE if machine.name in ASKED]
    elif "SEED" in words:
        first = int(words.get("FIRST", 0))
        machines = [draw(int(words["SEED"]), n) for n in range(first, first + int(words.get("COUNT", 200)))]
    else:
        machines = [machine for machine in TABLE + MATRIX if wanted in machine.row()]
    iso, failed = small_iso("answers", model=need(MODEL, "make model")) if asks else small_iso(), []

    def one(machine) -> None:
        try:
            (ask if asks else boot)(iso, machine)
        except (AssertionError, Hang, OSError, ValueError) as error:
            failed.append(machine)
            print(f"not ok - {machine.row()}\n#   " + str(error).replace("\n", "\n#   "), flush=True)

    in_pairs(one, [(machine,) for machine in machines])
    print(f"{len(machines) - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed or not machines else 0)


if __name__ == "__main__":
    main()
