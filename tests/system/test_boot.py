#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots the kernel in every supported way, breaks it on purpose, and checks its messages."""
import hashlib
import json
import pathlib
import re
import struct
import subprocess
import tempfile
import tomllib

from machines import FIRMWARE, REPRESENTATIVE, boot_all
from harness import CPU_FAST, ISO, PROMPT, ROOT, Guest, case, check, in_pairs, main, need, small_iso, timed
from screen import ScreenGuest


def prompt(guest: Guest, seconds: float = 60) -> None:
    guest.expect(PROMPT, seconds)


@case
def enters_as_pvh():
    """PVH: 1 CPU and 256 MiB, 2 and 1 GiB, 4 and 8 GiB; each powers off"""
    def boots(cpus: int, memory: str) -> None:
        with Guest(cpus=cpus, memory=memory) as guest:
            prompt(guest)
            text = guest.command_output("cpu")
            check(f"{cpus} present, {cpus} working" in text, f"cpu says:\n{text}")
            guest.send("poweroff\r")
            check(guest.wait_exit(30) in (0, 1), "power-off")

    in_pairs(boots, [(1, "256M"), (2, "1G"), (4, "8G")])


@timed
def prompt_within_300_ms():
    """from power-on to the prompt in under 0.3 s of guest time, without a model (best of 3)"""
    times = []
    for _ in range(3):
        with Guest(cpus=2, memory="512M") as guest:
            prompt(guest)
            text = guest.command_output("perf boot")
            found = re.search(r"prompt\D+(\d+(?:\.\d+)?) ?ms", text)
            check(found, f"perf boot says:\n{text}")
            times.append(float(found.group(1)))
    print(f"# prompt after {times} ms")
    # The host's other work can only add to the time, so the smallest counts.
    check(min(times) < 300, f"the best was {min(times)} ms")


@case
def image_boots_everywhere():
    """the image, from CD and stick, in SeaBIOS and OVMF, 1 to 4 CPUs, 256 MiB and 8 GiB, serial or screen only"""
    boot_all(REPRESENTATIVE)


@case
def image_with_model():
    """the image as it ships: its menu, its model, the chat"""
    need(ISO, "make iso")
    with Guest(cpus=2, memory="1G", iso=ISO) as guest:
        guest.expect(r"^you> ", 120)


@case
def image_configuration():
    """the image's /marrow.cfg is read; an unknown key in it is reported with its line and the nearest match"""
    iso = small_iso("configured", "# options\nlog=info\n\ntreads=1\nthreads=1\n")
    with Guest(cpus=2, memory="256M", iso=iso) as guest:
        guest.expect(r"line 4 of marrow.cfg: unknown option 'treads': did you mean 'threads'", 60)
        prompt(guest)
        check("2 present, 1 working" in guest.command_output("cpu"), "threads=1 was not taken")


@case
def the_right_one_of_two_images():
    """with two Marrow images in the machine, kernel, options and models come from the one that was booted"""
    other, wanted = small_iso("other", "threads=1\n"), small_iso("wanted", "threads=2\n")

    def boots(firmware: str) -> None:
        boot = [*FIRMWARE[firmware], "-boot", "order=d,menu=off"]
        for i, iso in enumerate((other, wanted, other)):
            boot += ["-drive", f"file={iso},format=raw,if=none,id=d{i}," + ("media=cdrom,readonly=on" if i else "snapshot=on")]
            boot += ["-device", f"ide-{'cd' if i else 'hd'},bus=ide.{i},drive=d{i}" + (",bootindex=0" if i == 1 else "")]
        with Guest(cpus=2, memory="512M", boot=boot) as guest:
            prompt(guest, 120)
            text = guest.command_output("cpu")
            check("2 present, 2 working" in text, f"{firmware}: {text}")

    in_pairs(boots, [("seabios",), ("ovmf",)])


@case
def damaged_models_make_no_image():
    """a model that is cut off or has absurd lengths is refused with its name in one sentence"""
    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text(b"key") + struct.pack("<I", 8)
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder, "damaged.gguf")
        for content in (b"", b"<html>", head, head + struct.pack("<Q", 1 << 40) + b"x", head + struct.pack("<Q", 1 << 63),
                        head[:-4] + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000):
            model.write_bytes(content)
            done = subprocess.run(["scripts/create_iso.sh", "-m", str(model), "-o", f"{folder}/x.iso"], check=False,
                                  capture_output=True, text=True)
            said = done.stdout + done.stderr
            check(done.returncode != 0 and said.count("\n") == 1 and "damaged.gguf: " in said, said[-500:])


@case
def image_is_reproducible_and_says_what_it_holds():
    """two builds of the same inputs are byte-equal; hashes, licences, bill of materials and manual are in the image"""
    need(ISO, "make iso")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a", "b"):
            subprocess.run(["scripts/create_iso.sh", "-o", f"{folder}/{name}.iso"], check=True, capture_output=True)
        check(subprocess.run(["cmp", f"{folder}/a.iso", f"{folder}/b.iso"], check=False).returncode == 0, "they differ")
        tree = pathlib.Path(folder, "tree")
        subprocess.run(["xorriso", "-osirrox", "on", "-indev", f"{folder}/a.iso", "-extract", "/", str(tree)], check=True, capture_output=True)
        subprocess.run(["chmod", "-R", "u+w", str(tree)], check=True)
        sums = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tree, check=False, capture_output=True, text=True)
        check(sums.returncode == 0, sums.stdout + sums.stderr)
        packages = {package["name"]: package for package in json.loads((tree / "sbom.spdx.json").read_text())["packages"]}
        kernel = hashlib.sha256((tree / "boot/marrow.elf").read_bytes()).hexdigest()
        check(packages["kernel marrow.elf"]["checksums"][0]["checksumValue"] == kernel, "the kernel has another hash")
        readme = (tree / "licences/README").read_text()
        for row in tomllib.loads((ROOT / "iso/components.toml").read_text())["component"]:
            check(packages[row["name"]]["licenseDeclared"] == row["licence"] and row["name"] in readme, f"{row['name']} is not named")
        for name in re.findall(r"[\w.-]+\.txt", readme):
            check((tree / "licences" / name).stat().st_size > 500, f"licences/{name}")
        check("install nvme0n1" in (tree / "manual/Install.html").read_text(), "no manual")


# kind: CPUs, what the report must say, the function it must name
FAULTS = {
    "canary": (2, r"PANIC on CPU 0: .*canary", "fault_canary"),
    "divide": (2, r"PANIC on CPU 0: divide error", "fault_divide"),
    "nmi": (1, r"PANIC on CPU 0: non-maskable interrupt", "fault_nmi"),
    "non-canonical": (2, r"PANIC on CPU 0: .*not a canonical address", "fault_non_canonical"),
    "null-call": (2, r"PANIC on CPU 0: .*null pointer", "fault_null_call"),
    "null-read": (1, r"PANIC on CPU 0: .*null pointer", "fault_null_read"),
    "nx-exec": (2, r"PANIC on CPU 0: page fault: execution", "fault_data_execution"),
    "ro-write": (2, r"PANIC on CPU 0: page fault: write", "fault_rodata_write"),
    "stack-overflow": (2, r"PANIC on CPU 0: .*stack overflow", "fault_stack_overflow"),
    "stuck-cpu": (1, r"watchdog: error: cpu 0 has not scheduled", "fault_stuck_cpu"),
    "stuck-worker": (2, r"watchdog: error: cpu 1 has not finished", "fault_stuck_worker"),
    "text-write": (4, r"PANIC on CPU 0: page fault: write", "fault_text_write"),
    "ud": (2, r"PANIC on CPU 0: invalid opcode", "fault_undefined"),
    "unaligned": (2, r"PANIC on CPU 0: .*unaligned", "fault_unaligned"),
}


def fault(kind: str, cpus: int, report: str, function: str) -> None:
    with Guest(cpus=cpus, memory="512M", append="panic=halt watchdog=2") as guest:
        prompt(guest)
        begin = len(guest.output)
        guest.send(f"fault {kind}\r")
        guest.expect(report, 60, begin)
        guest.expect(function, 60, begin)
        if kind.startswith("stuck"):
            guest.expect(PROMPT, 60, begin)  # the machine goes on
        else:
            guest.expect(r"last log lines:\n(\[.*\n)+last trace events:\ncpu  0 .*\n", 60, begin)
            guest.expect("CPU 0 is halted", 60, begin)


@case
def faults_are_reported():
    """each kind of fault is reported with the names of the functions; the watchdog names the stuck thread"""
    in_pairs(fault, [(kind, *row) for kind, row in FAULTS.items()])


@case
def panic_on_screen_and_keyboard():
    """without a serial line: the panic is on the screen, and its shell takes commands from the keyboard"""
    with ScreenGuest(cpus=2, memory="512M", iso=small_iso(), serial="none") as guest:
        guest.see(r"^marrow>$", 90)
        guest.type("fault null-call\n")
        lines = guest.see(r"^panic>$", 60)
        text = "\n".join(lines)
        for part in (r"CPU 0 stopped: .*null pointer", "faults::fault_null_call", "last trace events:", r"\{ fault"):
            check(re.search(part, text), f"no {part!r} on the screen:\n{text}")
        guest.type("registers\n")
        guest.see(r"rip 0{16} (.*\n)+panic>$", 60)
        guest.type("bt\n")
        guest.see(r"^panic> bt\n(.*\n)*.*faults::fault_null_call(.*\n)+panic>$", 60)
        guest.switch_off()
        check(guest.wait_exit(60) in (0, 1), "power-off from the panic shell")


@case
def refusals_are_on_the_screen():
    """an unsupported CPU: the screen says what it lacks, in pixels after GRUB and in VGA text after -kernel"""
    for cpu, sentence in (("max,-nx", r"^Execute-disable \(NX, XD\) is off: turn it on"), ("max,-lm", "needs a 64-bit CPU")):
        with ScreenGuest(cpus=1, memory="256M", cpu=cpu, iso=small_iso(), serial="none") as guest:
            guest.see(sentence, 60)
        with ScreenGuest(cpus=1, memory="256M", cpu=cpu) as guest:
            guest.see(sentence, 60, guest.text_mode)
            guest.expect(sentence, 20)


@case
def panics_without_a_console_are_on_the_screen():
    """a panic before any console has the screen appears in VGA text, or in the loader's framebuffer"""
    for medium, look in (({}, "text_mode"), ({"iso": small_iso("dark", "display=off\n")}, "screen")):
        with ScreenGuest(cpus=1, memory="256M", **medium) as guest:
            prompt(guest, 90)
            guest.send("fault null-call\r")
            guest.expect("panic> ", 60)
            lines = guest.see(r"^CPU 0 stopped: page fault: execution", 60, getattr(guest, look))
            check(any("faults::fault_null_call" in line for line in lines), "\n".join(lines))


@case
def the_button_and_the_keys_end_the_machine():
    """the power button switches off; Ctrl-Alt-Del asks when pressed once and restarts when pressed twice"""
    with ScreenGuest(cpus=1, memory="256M") as guest:
        prompt(guest)
        guest.ask("system_powerdown")
        guest.expect("power: off, when", 20)
        check(guest.wait_exit(60) in (0, 1), "power-off by the button")
    with ScreenGuest(cpus=1, memory="256M") as guest:
        prompt(guest)
        guest.ask("sendkey ctrl-alt-delete")
        guest.expect("Ctrl-Alt-Del once more within 10 s", 20)
        check("0" in guest.command_output("echo 0"), "it goes on")
        for _ in range(2):  # the first may come later than 10 s after the one above
            guest.ask("sendkey ctrl-alt-delete")
            guest.settle(0.5)
            if "power: a restart" in guest.output:
                break
        guest.expect("power: a restart", 20)
        check(guest.wait_exit(60) == 0, "QEMU ends instead of restarting (-no-reboot)")


@case
def poor_machines_boot():
    """without a working clock the times are guessed; when CPUID has no leaf for XSAVE, SSE is used"""
    with Guest(cpus=1, memory="256M", extra=["-machine", "pc,hpet=off,pit=off,acpi=off"]) as guest:
        prompt(guest)
        check("times are guessed" in guest.output + guest.command_output("dmesg"), guest.output)
    with Guest(cpus=2, memory="256M", cpu=CPU_FAST + ",level=12") as guest:
        prompt(guest)
        check("2 present, 2 working" in guest.command_output("cpu"), guest.output)


@case
def log_lines_spare_the_edited_line():
    """a log line that arrives during typing stands alone; the typed line is drawn again below it"""
    nic = ["-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,id=card"]
    with ScreenGuest(cpus=1, memory="256M", iso=small_iso("logging", "log=info\n"), net=nic) as guest:
        guest.see(r"by DHCP(.*\n)+marrow>$", 90)  # the last line that the machine prints unasked
        guest.send("echo half a li")  # typed on the serial line: all consoles share one shell
        guest.see(r"^marrow> echo half a li$", 60)
        guest.ask("set_link card off")
        guest.see(r"^\[ .*link down\nmarrow> echo half a li$", 60)
        guest.send("ne\r")
        guest.see(r"^marrow> echo half a line\nhalf a line\nmarrow>$", 60)


@case
def page_tables_hold():
    """the in-kernel tests, page-table walk among them, pass on 1 and 4 CPUs and under full -cpu max"""
    def passes(cpus: int, cpu: str) -> None:
        with Guest(cpus=cpus, memory="512M", cpu=cpu, append='run="test; poweroff"') as guest:
            guest.expect(r"^\d+ passed, 0 failed", 170)
            check("paging" in guest.output, "no paging test ran")
            check(guest.wait_exit(60) in (0, 1), "power-off")

    in_pairs(passes, [(1, CPU_FAST), (4, CPU_FAST), (2, "max")])


@case
def unknown_option_suggests():
    """an unknown boot option warns with the nearest match, and the boot goes on"""
    with Guest(cpus=1, memory="256M", append="treads=1") as guest:
        prompt(guest)
        check(re.search(r"treads.*threads", guest.output + guest.command_output("dmesg")), guest.output)


if __name__ == "__main__":
    main()
