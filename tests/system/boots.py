#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots again and again, in search of a boot that hangs now and then (`make test-boots N=100`).

Usage: boots.py [COUNT=100] [WAY]

The ways: `-kernel`, the image by SeaBIOS, the image by OVMF. Each boot gets another number of CPUs (1 to 4), reaches the
prompt, answers a command and switches itself off. A table shows how long the boots took.
"""
import statistics
import sys
import time

from harness import CPU_FAST, PROMPT, Guest, Hang, check, small_iso
from machines import OVMF

WAYS = {"-kernel": {}, "seabios": {"image": True}, "ovmf": {"image": True, "extra": ["-bios", OVMF]}}


def boot_once(number: int, image=None, extra=()) -> float:
    begin = time.monotonic()
    cpus = number % 4 + 1
    with Guest(cpus=cpus, memory="512M", cpu=CPU_FAST, iso=image, extra=extra) as guest:
        guest.expect(PROMPT, 90)
        taken = time.monotonic() - begin
        check(f"cpus: {cpus} present, {cpus} working" in guest.command_output("cpu"), f"boot {number}: not all of {cpus} CPUs work")
        guest.send("poweroff\r")
        check(guest.wait_exit(60) in (0, 1), f"boot {number}: power-off")
    return taken


def main() -> None:
    count = next((int(word.split("=")[1]) for word in sys.argv[1:] if word.startswith("COUNT=")), 100)
    wanted = next((word for word in sys.argv[1:] if "=" not in word), "")
    failed = 0
    for name, way in WAYS.items():
        if wanted not in name:
            continue
        image = small_iso(f"boots-{name}") if way.get("image") else None
        times = []
        for number in range(count):
            try:
                times.append(boot_once(number, image, way.get("extra", ())))
            except (AssertionError, Hang, OSError) as error:
                failed += 1
                print(f"not ok - {name}, boot {number}\n#   " + str(error).replace("\n", "\n#   "), flush=True)
        if times:
            print(f"# {name}: {len(times)} of {count} boots reached the prompt and switched off; "
                  f"seconds to the prompt: median {statistics.median(times):.1f}, longest {max(times):.1f}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
