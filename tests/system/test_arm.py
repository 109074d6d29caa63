#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests the ARM64 kernel in QEMU's `virt` machine, entered directly as an arm64 Image: interrupt controllers, exception
levels, CPUs, what faults report, and a model whose text is that of x86_64."""
import json
import pathlib
import subprocess
import tempfile

from debugger import Debugger
from harness import MODEL, PROMPT, ROOT, Guest, case, check, in_pairs, main, need
from qemu_test import MACHINES

ARM = MACHINES["aarch64"]
GOLDEN = json.loads((ROOT / "tests/goldens/smollm2-q4_1.chat.json").read_text())


def guest(**options) -> Guest:
    return Guest(kernel=need(ARM.kernel, "make kernel ARCH=aarch64"), **{"memory": "256M", **options})


# board, CPU, CPUs, what `cpu` and the log say
BOOTS = (
    ("virt,gic-version=2", "cortex-a57", 1, "GICv2"),
    ("virt,gic-version=3", "cortex-a72", 4, "GICv3"),
    ("virt,gic-version=2,virtualization=on", "cortex-a57", 2, "GICv2"),
    ("virt,gic-version=3,virtualization=on", "max", 2, "GICv3"),
)


def boots(board: str, cpu: str, cpus: int, controller: str) -> None:
    with guest(board=board, cpu=cpu, cpus=cpus) as machine:
        machine.expect(PROMPT, 60)
        text = machine.command_output("cpu")
        check(f"{cpus} present, {cpus} working" in text and controller in text, text)
        machine.send("poweroff\r")
        check(machine.wait_exit(30) == 0, "the exit status of a power-off")


@case
def machines():
    """GICv2 and GICv3, from EL1 and EL2, old and new CPUs: a prompt, every CPU at work, and a power-off"""
    in_pairs(boots, BOOTS)


# kind: CPUs, what the report must say, the function it must name
FAULTS = {
    "canary": (2, r"PANIC on CPU 0: .*canary", "fault_canary"),
    "non-canonical": (1, r"PANIC on CPU 0: memory fault: write to 8000000000000000", "fault_non_canonical"),
    "null-call": (2, r"PANIC on CPU 0: .*execution at 0+: near null", "fault_null_call"),
    "null-read": (1, r"PANIC on CPU 0: .*read from 0+18: near null", "fault_null_read"),
    "nx-exec": (1, r"PANIC on CPU 0: memory fault: execution at .*forbidden", "fault_data_execution"),
    "ro-write": (2, r"PANIC on CPU 0: memory fault: write to .*forbidden", "fault_rodata_write"),
    "stack-overflow": (2, r"PANIC on CPU 0: .*a guard page, so a stack overflow", "fault_stack_overflow"),
    "stuck-worker": (2, r"watchdog: error: cpu 1 has not finished", "fault_stuck_worker"),
    "text-write": (2, r"PANIC on CPU 0: memory fault: write to .*forbidden", "fault_text_write"),
    "ud": (1, r"PANIC on CPU 0: undefined instruction", "fault_undefined"),
    "unaligned": (1, r"PANIC on CPU 0: memory fault: .*not aligned", "fault_unaligned"),
}


def fault(kind: str, cpus: int, report: str, function: str) -> None:
    with guest(cpus=cpus, append="panic=poweroff watchdog=2") as machine:
        machine.expect(PROMPT, 60)
        begin = len(machine.output)
        machine.send(f"fault {kind}\r")
        machine.expect(report, 60, begin)
        machine.expect(function, 60, begin)
        if kind.startswith("stuck"):
            machine.expect(PROMPT, 60, begin)  # the machine goes on
        else:
            check(machine.wait_exit(60) == ARM.panic_status, "the exit status of a panic")


@case
def faults_are_reported():
    """each kind of fault gives its report, with the name of its function, and the emulator its exit status"""
    in_pairs(fault, [(kind, *row) for kind, row in FAULTS.items()])


LOADED_AT = 0x40200000  # where QEMU puts an Image that asks for no offset


@case
def host_mode_is_refused():
    """a CPU whose EL2 has its host mode only: the serial line says so (QEMU's own would leave it, so E2H is forced)"""
    symbols = subprocess.run(["aarch64-linux-gnu-nm", ARM.kernel.with_suffix(".elf")], capture_output=True, text=True, check=True)
    offset = next(int(line.split()[0], 16) for line in symbols.stdout.splitlines() if line.split()[-1] == "at_el2")
    write_of_hcr, x9 = LOADED_AT + offset + 4, (1 << 34 | 1 << 31).to_bytes(8, "little").hex()
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "gdb")
        with guest(board="virt,gic-version=3,virtualization=on", cpu="max", cpus=2,
                   extra=["-S", "-gdb", f"unix:{path},server=on,wait=off"]) as machine:
            debugger = Debugger(path)
            debugger.ask("qXfer:features:read:target.xml:0,40")  # else QEMU writes no single register
            check(debugger.ask(f"Z1,{write_of_hcr:x},4") == "OK", "no breakpoint")
            debugger.ask("c")
            check(debugger.ask(f"P9={x9}") == "OK", "x9 cannot be written")
            check(debugger.ask(f"z1,{write_of_hcr:x},4") == "OK", "the breakpoint stays")
            debugger.send("c")
            machine.expect(r"PANIC on CPU 0: .*cannot leave EL2's host mode", 60)
            machine.expect(r"^panic> $", 60)


@case
def a_model_says_what_it_says_on_x86():
    """SmolLM2 as initial ramdisk, two CPUs: the answers that x86_64 and llama.cpp give"""
    with guest(cpus=2, memory="1G", append="talk temp=0", model=need(MODEL, "make model")) as machine:
        machine.expect(r"^you> $", 90)
        machine.send(f"/max {GOLDEN['max_tokens']}\r")
        machine.expect(r"tokens an answer\n", 20)
        for turn in GOLDEN["turns"][:1]:
            begin = len(machine.output)
            machine.send(turn["question"] + "\r")
            machine.expect(r"^\[[^\n]*tokens, [^\n]*context \d+ of \d+\]$", 300, begin)
            check(turn["answer"].rstrip("\n") in machine.output[begin:], machine.output[begin:])


if __name__ == "__main__":
    main()
