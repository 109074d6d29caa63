#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests the ARM64 kernel in QEMU's `virt` machine, entered directly as an arm64 Image: interrupt controllers, exception
levels, CPUs, what faults report, and a model whose text is that of x86_64."""
import json

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
