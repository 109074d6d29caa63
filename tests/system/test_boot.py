#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots the kernel every way a person may: PVH, BIOS and UEFI, CD and stick, few and many CPUs, little and much RAM."""
import re
import subprocess
import tempfile
import time

from harness import CPU_FAST, ISO, PROMPT, Guest, Hang, Skip, case, check, main, need

STICK = ["-device", "qemu-xhci", "-drive", f"file={ISO},format=raw,if=none,id=stick,readonly=on",
         "-device", "usb-storage,drive=stick"]
OVMF = "/usr/share/ovmf/OVMF.fd"
# The image's first menu entry is the chat; the third line down is the plain shell.
BOOTED = rf"{PROMPT}|^you> |^> "


def prompt(guest: Guest, seconds: float = 30) -> None:
    guest.expect(PROMPT, seconds)


def boots(cpus: int, memory: str) -> None:
    with Guest(cpus=cpus, memory=memory) as guest:
        prompt(guest)
        text = guest.command_output("cpu")
        check(f"{cpus} present, {cpus} working" in text, f"cpu says:\n{text}")
        guest.send("poweroff\r")
        check(guest.wait_exit(10) in (0, 1), "power-off")


@case
def pvh_one_cpu_256_mib():
    """PVH, 1 CPU, 256 MiB: prompt and power-off"""
    boots(1, "256M")


@case
def pvh_two_cpus():
    """PVH, 2 CPUs, 1 GiB"""
    boots(2, "1G")


@case
def pvh_four_cpus_8_gib():
    """PVH, 4 CPUs, 8 GiB"""
    boots(4, "8G")


@case
def prompt_within_300_ms():
    """from power-on to the prompt in under 0.3 s of guest time, without a model (median of 5)"""
    times = []
    for _ in range(5):
        with Guest(cpus=2, memory="512M") as guest:
            prompt(guest)
            text = guest.command_output("perf boot")
            found = re.search(r"prompt\D+(\d+(?:\.\d+)?) ?ms", text)
            check(found, f"perf boot says:\n{text}")
            times.append(float(found.group(1)))
    times.sort()
    print(f"# prompt after {times} ms")
    check(times[2] < 300, f"median {times[2]} ms")


@case
def memory_adds_up():
    """mem accounts for every byte of the machine's RAM"""
    for megabytes in (256, 3072):
        with Guest(cpus=1, memory=f"{megabytes}M") as guest:
            prompt(guest)
            text = guest.command_output("mem")
            rows = dict(re.findall(r"^([a-z ]+?) +[0-9.]+ +([0-9]+)$", text, re.M))
            total = int(rows.pop("total"))
            check(total == megabytes << 20, f"total is {total}:\n{text}")
            check(sum(map(int, rows.values())) == total, f"rows do not add up:\n{text}")
            check("every page is accounted for" in guest.command_output("mem check"), "mem check")


def iso_boot(extra: list[str], cpus: int = 2, memory: str = "1G", cdrom: bool = True) -> None:
    need(ISO, "make iso")
    with Guest(cpus=cpus, memory=memory, iso=ISO if cdrom else None, extra=extra, kernel="") as guest:
        if not cdrom:  # the class names a kernel otherwise; a stick boots by itself
            raise Skip("a stick is started by stick_boot")
        guest.expect(BOOTED, 60)


def stick_boot(extra: list[str]) -> None:
    """Boots the image as a USB stick, with nothing else to boot from."""
    need(ISO, "make iso")

    class StickGuest(Guest):
        def __init__(self):
            super().__init__(cpus=2, memory="1G")
            at = self.command.index("-kernel")
            self.command[at:at + 2] = STICK + extra

    with StickGuest() as guest:
        guest.expect(BOOTED, 60)


@case
def iso_seabios_cd():
    """ISO, SeaBIOS, CD"""
    iso_boot([])


@case
def iso_seabios_stick():
    """ISO, SeaBIOS, USB stick"""
    stick_boot([])


@case
def iso_ovmf_cd():
    """ISO, OVMF (UEFI), CD"""
    iso_boot(["-bios", OVMF])


@case
def iso_ovmf_stick():
    """ISO, OVMF (UEFI), USB stick"""
    stick_boot(["-bios", OVMF])


def picture(path: str) -> tuple[int, int, int]:
    """Width, height and the number of pixels of a PPM that are not black."""
    with open(path, "rb") as file:
        header = file.readline() + file.readline() + file.readline()
        width, height = map(int, header.split()[1:3])
        data = file.read()
    return width, height, sum(1 for i in range(0, len(data), 3) if data[i:i + 3] != b"\0\0\0")


@case
def iso_framebuffer_only():
    """ISO without a serial line: what is typed on the keyboard answers on the screen"""
    need(ISO, "make iso")
    with tempfile.TemporaryDirectory() as folder:
        command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", CPU_FAST,
                   "-m", "1G", "-smp", "2", "-nic", "none", "-display", "none", "-serial", "none", "-cdrom", str(ISO),
                   "-monitor", "stdio", "-no-reboot"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as qemu:
            try:
                lit = (0, 0, 0)
                for attempt in range(40):
                    time.sleep(1)
                    if attempt % 4 == 3:  # typed on the PS/2 keyboard until its output is on the screen
                        for key in ("h", "e", "l", "p", "ret"):
                            qemu.stdin.write(f"sendkey {key}\n")
                            qemu.stdin.flush()
                            time.sleep(0.2)
                    qemu.stdin.write(f"screendump {folder}/screen.ppm\n")
                    qemu.stdin.flush()
                    time.sleep(0.5)
                    try:
                        lit = picture(f"{folder}/screen.ppm")
                    except (OSError, ValueError, IndexError):
                        continue
                    if lit[0] >= 640 and lit[2] > 3000:
                        break
                check(lit[0] >= 640 and lit[2] > 3000, f"screen is {lit[0]}x{lit[1]} with {lit[2]} lit pixels")
            finally:
                qemu.kill()


@case
def iso_is_reproducible():
    """two builds of the same inputs are byte-equal"""
    need(ISO, "make iso")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a", "b"):
            subprocess.run(["scripts/create_iso.sh", "-o", f"{folder}/{name}.iso"], check=True, capture_output=True)
        check(subprocess.run(["cmp", f"{folder}/a.iso", f"{folder}/b.iso"], check=False).returncode == 0, "they differ")


# kind: what the report must say, and (None = nothing) the function it must name
FAULTS = {
    "null-call": (r"panic on CPU 0: .*null", "fault_null_call"),
    "stack-overflow": (r"panic on CPU 0: .*(stack|guard)", "overflow"),
    "unaligned": (r"panic on CPU 0: .*align", "run_fault"),
    "non-canonical": (r"panic on CPU 0: .*(canonical|general protection)", "run_fault"),
    "divide": (r"panic on CPU 0: .*divi", "run_fault"),
    "ud": (r"panic on CPU 0: .*(invalid|undefined)", "run_fault"),
    "ro-write": (r"panic on CPU 0: page fault: writ", "run_fault"),
    "nmi": (r"(?i)nmi|non-maskable", None),
    "stuck-worker": (r"watchdog: error: cpu 1 has not finished", "fault_stuck_worker"),
}


@case
def faults_are_reported():
    """each kind of CPU fault gives its report, with a symbolised backtrace"""
    wrong = []
    for kind, (report, function) in FAULTS.items():
        with Guest(cpus=2, memory="512M", append="panic=halt" + (" watchdog=2" if kind == "stuck-worker" else "")) as guest:
            prompt(guest)
            begin = len(guest.output)
            guest.send(f"fault {kind}\r")
            try:
                guest.expect(report, 20, begin)
                if function:
                    guest.expect(function, 15, begin)
            except Hang as hang:
                wrong.append(f"{kind}: {hang}")
    check(not wrong, "\n".join(wrong))


@case
def page_tables_hold():
    """the in-kernel tests, page-table walk among them, pass on 1 and 4 CPUs and under full -cpu max"""
    for cpus, cpu in ((1, CPU_FAST), (4, CPU_FAST), (2, "max")):
        with Guest(cpus=cpus, memory="512M", cpu=cpu, append='run="test; poweroff"') as guest:
            guest.expect(r"^\d+ passed, 0 failed", 120)
            check("paging" in guest.output, "no paging test ran")
            check(guest.wait_exit(20) in (0, 1), "power-off")


@case
def unknown_option_suggests():
    """an unknown boot option warns with the nearest match, and the boot goes on"""
    with Guest(cpus=1, memory="256M", append="treads=1") as guest:
        prompt(guest)
        check(re.search(r"treads.*threads", guest.output + guest.command_output("dmesg")), guest.output)


if __name__ == "__main__":
    main()
