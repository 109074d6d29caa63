#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots the kernel in QEMU and checks its output: runs the in-kernel tests, and is a library for other scripts.

Usage: qemu_test.py [--arch ARCH] [--append OPTIONS] [--cpus N] [--memory SIZE] [--hang SECONDS]
Prints the guest's TAP and closes with `N passed, N failed`. Exit status 1 on a failure, a hang
(no output for --hang seconds), a guest that ends without its verdict, or a panic.
"""
import argparse
import os
import pathlib
import re
import selectors
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Emulated AVX is many times slower than emulated SSE; "max" proves the AVX2 table.
CPU_FAST = "max,-avx,-avx2,-fma,-f16c"


class Machine:
    """How QEMU plays a machine of one architecture, and how a guest tells it an exit status."""

    def __init__(self, program, kernel, board, cpu, exits, append, panic_status, ramdisk):
        self.program, self.kernel, self.board, self.cpu = program, ROOT / "build" / kernel, board, cpu
        self.exits, self.append, self.panic_status = exits, append, panic_status
        self.ramdisk = ramdisk  # where the guest finds what -initrd gives it


MACHINES = {
    "x86_64": Machine("qemu-system-x86_64", "x86_64/marrow.elf", "q35", CPU_FAST,
                      ("-device", "isa-debug-exit,iobase=0xf4,iosize=4"), "", 2 * 13 + 1, "/boot/module0"),
    "aarch64": Machine("qemu-system-aarch64", "aarch64/marrow.efi", "virt,gic-version=3", "cortex-a72",
                       ("-semihosting-config", "enable=on,target=native"), "exit=semihosting", 13, "/boot/initrd"),
}
KERNEL = pathlib.Path(os.environ.get("MARROW_KERNEL", MACHINES["x86_64"].kernel))


def machine_of(kernel) -> Machine:
    return MACHINES["aarch64" if pathlib.Path(kernel).suffix == ".efi" else "x86_64"]


# The tests' limits are for a quiet machine. They are multiplied by this; only a hang waits that long.
PATIENCE = 4

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")


class Hang(Exception):
    """Raised when the guest was silent for too long. The message has its last output."""


class Guest:
    """One QEMU with its serial line on pipes. Use as a context manager: it is always ended."""

    def __init__(self, append="", cpus=2, memory="1G", cpu=None, kernel=KERNEL, model=None, iso=None,
                 net="none", extra=(), serial="stdio", boot=None, board=None, arch=None):
        machine = MACHINES[arch] if arch else machine_of(kernel)  # another system's kernel has any name
        if shutil.which(machine.program) is None:
            sys.exit(f"qemu_test: {machine.program} is missing: scripts/setup.sh run arm")
        command = [machine.program, "-machine", board or machine.board, "-accel", "tcg,thread=multi",
                   "-cpu", cpu or machine.cpu, "-smp", str(cpus), "-m", memory, "-no-reboot", "-display", "none",
                   *machine.exits, "-serial", serial]
        append = " ".join(filter(None, (append, machine.append)))
        command += ["-nic", net] if net == "none" else list(net)
        boot = boot or (["-cdrom", str(iso), "-boot", "d"] if iso else ["-kernel", str(kernel)])
        command += boot
        if append and "-kernel" in boot:
            command += ["-append", append]
        if model:
            command += ["-initrd", str(model)]
        self.command = command + list(extra)
        self.raw, self.output = b"", ""

    def __enter__(self):
        self.start = time.monotonic()
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.watch()
        return self

    def watch(self) -> None:
        os.set_blocking(self.process.stdout.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.selector.close()

    def seconds(self) -> float:
        return time.monotonic() - self.start

    def pump(self, wait: float) -> bool:
        """Reads what has come within `wait` seconds; False at the end of the guest."""
        if not self.selector.select(wait):
            return self.process.poll() is None
        data = self.process.stdout.read()
        if not data:
            return False
        self.raw += data
        # The output is checked as a person sees it, without terminal control sequences. A sequence that
        # is cut at the end of a read is completed by the next one.
        self.output = ESCAPE.sub("", self.raw.decode("utf-8", "replace")).replace("\r", "")
        return True

    def send(self, text: str) -> None:
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def expect(self, pattern: str, timeout: float, after: int = 0) -> re.Match:
        """Waits for a regular expression in the output from offset `after`; Hang when it does not come."""
        end = time.monotonic() + timeout * PATIENCE
        while True:
            if match := re.compile(pattern, re.M).search(self.output, after):
                return match
            left = end - time.monotonic()
            if left <= 0 or not self.pump(min(left, 0.2)):
                if match := re.compile(pattern, re.M).search(self.output, after):
                    return match
                raise Hang(f"no {pattern!r} within {timeout} s; last output:\n{self.output[-2000:]}")

    def command_output(self, line: str, timeout: float = 20) -> str:
        """Types a line at the prompt and returns what comes before the next prompt. A log line redraws the prompt and what is
        typed so far: only a prompt after the end of the whole line ends the command."""
        begin = len(self.output)
        self.send(line + "\r")
        typed = self.expect(re.escape(line[-20:]) + "\n", timeout, begin).end()
        self.expect(r"^marrow> ", timeout, typed)
        return self.output[begin:].rsplit("\nmarrow> ", 1)[0]

    def settle(self, seconds: float) -> None:
        """Reads for a while, so that a prompt redrawn after a log line is not mistaken for the end of a command."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.pump(0.05)

    def until(self, command: str, pattern: str, seconds: float) -> str:
        """Repeats a command until its output has the pattern."""
        end = time.monotonic() + seconds
        while True:
            text = self.command_output(command)
            if re.search(pattern, text):
                return text
            if time.monotonic() > end:
                raise AssertionError(f"{command} never said {pattern!r}:\n{text}\n{self.command_output('dmesg')}")
            self.settle(0.2)

    def wait_exit(self, timeout: float) -> int:
        """QEMU's exit status once the guest has powered off."""
        end = time.monotonic() + timeout * PATIENCE
        while self.process.poll() is None:
            if time.monotonic() > end:
                raise Hang(f"still running after {timeout} s; last output:\n{self.output[-2000:]}")
            self.pump(0.1)
        while self.pump(0.0):
            pass
        return self.process.returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--append", default='run="test; poweroff"')
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--memory", default="512M")
    parser.add_argument("--cpu")
    parser.add_argument("--arch", choices=MACHINES)
    parser.add_argument("--kernel", default=KERNEL)
    parser.add_argument("--hang", type=float, default=60)
    options = parser.parse_args()
    kernel = MACHINES[options.arch].kernel if options.arch else options.kernel
    with Guest(options.append, options.cpus, options.memory, options.cpu, kernel) as guest:
        shown, quiet_since = 0, time.monotonic()
        while guest.pump(0.2):
            if len(guest.output) > shown:
                print(guest.output[shown:], end="", flush=True)
                shown, quiet_since = len(guest.output), time.monotonic()
            elif time.monotonic() - quiet_since > options.hang:
                print(f"\nqemu_test: hang: no output for {options.hang:.0f} s")
                print("0 passed, 1 failed")
                sys.exit(1)
        print(guest.output[shown:], end="")
    # "name: 1 passed…" of a suite would not match: the verdict stands alone on its line.
    verdict = re.findall(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", guest.output, re.M)
    if not verdict or "PANIC" in guest.output:
        print("qemu_test: the guest ended without its verdict")
        print("0 passed, 1 failed")
        sys.exit(1)
    sys.exit(1 if int(verdict[-1][1]) > 0 or int(verdict[-1][0]) == 0 else 0)


if __name__ == "__main__":
    main()
