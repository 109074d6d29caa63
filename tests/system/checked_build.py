#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots the kernel built with its own checks: its tests pass, and planted mistakes are reported.

`make test-ubsan` runs it on a SAN=1 DEBUG=1 kernel, `make test-debug` on a DEBUG=1 one (MARROW_KERNEL).
"""
import os

from harness import MODEL, PROMPT, ROOT, Guest, case, check, main, need

KERNEL = os.environ.get("MARROW_KERNEL", str(ROOT / "build/x86_64-san-debug/marrow.elf"))
PLANTED = {
    "signed-overflow": r"PANIC on CPU 0: undefined behaviour: a signed sum overflows, at "
                       r"console/shell/machine/commands_debug.cpp:\d+:\d+",
    "heap-overrun": r"PANIC on CPU 0: kernel/mm/heap.cpp:\d+: assertion failed: !written_past_its_end",
    "heap-late-write": r"PANIC on CPU 0: kernel/mm/heap.cpp:\d+: assertion failed: !written_after_free",
    "heap-double-free": r"PANIC on CPU 0: kernel/mm/heap.cpp:\d+: assertion failed: large",
    "wait-masked": r"PANIC on CPU 0: kernel/sched/thread.cpp:\d+: assertion failed: "
                   r"expected a thread of cpu 0 that may wait, this is \w+ with interrupts off",
}
# The log line that precedes the panic, for each mistake.
TOLD = {
    "heap-late-write": r"1000 bytes at \S+ were written to at offset 500 after \S*run_heap_late_write\S* \(0x[0-9a-f]+\) "
                       r"freed them",
}


@case
def built_in_tests_pass():
    """the in-kernel tests pass on 1 and 2 CPUs, without undefined behaviour and with the heap's red zones"""
    for cpus in (1, 2):
        with Guest(cpus=cpus, memory="512M", kernel=KERNEL, append='run="test; mem check; poweroff"') as guest:
            guest.expect(r"^\d+ passed, 0 failed", 120)
            guest.expect("the heap is intact", 60)
            check(guest.wait_exit(60) in (0, 1), "power-off")


@case
def planted_mistakes_are_reported():
    """undefined arithmetic, misuse of the heap and a sleep with interrupts off are reported with file and line"""
    for kind, report in PLANTED.items():
        if kind == "signed-overflow" and "-san" not in KERNEL:
            continue
        with Guest(cpus=2, memory="512M", kernel=KERNEL, append="panic=halt") as guest:
            guest.expect(PROMPT, 60)
            begin = len(guest.output)
            guest.send(f"fault {kind}\r")
            guest.expect(report, 60, begin)
            guest.expect("console::run_fault", 60, begin)
            guest.expect(TOLD.get(kind, ""), 60, begin)


@case
def answers_with_a_model():
    """loading a model and generating are free of undefined behaviour"""
    need(MODEL, "make model")
    with Guest(cpus=2, memory="1G", kernel=KERNEL, model=MODEL) as guest:
        guest.expect(PROMPT, 60)
        text = guest.command_output("llm \"The capital of France is\" 4", 150)
        check("PANIC" not in text and "Paris" in text, text)


if __name__ == "__main__":
    main()
