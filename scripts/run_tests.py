#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs every stage of the tests and adds up: run_tests.py [STAGE...]

Stages: unit, hosted, askers, aarch64, qemu, fuzz, system (each tests/system/test_*.py), and, only where it is named, timing:
what the machine's speed decides, which gates nothing. A stage is programs that close
with `N passed, N failed[, N skipped]` and exit non-zero on a failure; one that exits non-zero
without counting a failure counts as one. Programs that use one processor run side by side, one a
processor; then those that boot machines, alone. Closes with the total, alone on a line.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
VERDICT = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
LOGS = ROOT / "build/test-logs"
ALONE = {"timing"}
AT_ONCE = os.cpu_count() or 1
# What takes minutes begins first, or one processor would wait for it at the end.
LONGEST = ("unit tests", "test_drivers.py", "test_boot.py", "test_console.py", "test_owner.py")


def stages() -> dict[str, list[tuple[str, list[str]]]]:
    system = sorted((ROOT / "tests/system").glob("test_*.py"))
    fuzz = sorted((ROOT / "tests/fuzz").glob("*.cpp"))
    shares = min(AT_ONCE, 4)  # one process a processor
    return {
        "unit": [(f"unit tests, share {k} of {shares}", [str(ROOT / "build/host-san/unit_tests"), f"share={k}/{shares}"])
                 for k in range(1, shares + 1)],
        "hosted": [("shared memory in every order", [str(ROOT / "build/weak/weak_tests")]),
                   ("Linux shim, ASan and UBSan", [str(ROOT / "build/linux/test/run")])],
        "askers": [(f"32 askers, {engine} engine", [str(ROOT / "build/host-san/askers"), f"engine={engine}", "seconds=20"])
                   for engine in ("scripted", "tiny")],
        "aarch64": [(f"engine on ARM64, {cpu}", ["qemu-aarch64", "-cpu", cpu, str(ROOT / "build/aarch64-user/unit_tests")])
                    for cpu in ("max", "cortex-a57")],  # with dot products, without
        "qemu": [("in-kernel tests, QEMU", [sys.executable, str(ROOT / "scripts/qemu_test.py")]),
                 ("in-kernel tests, QEMU, ARM64", [sys.executable, str(ROOT / "scripts/qemu_test.py"), "--arch", "aarch64"])],
        "fuzz": [(f"fuzz corpus {path.stem}", [sys.executable, str(ROOT / "scripts/fuzz_corpus.py"), path.stem])
                 for path in fuzz],
        "system": [(path.name, [sys.executable, str(path)]) for path in system],
        "timing": [("unit tests that measure time", [str(ROOT / "build/host-san/unit_tests"), "timed_"]),
                   *((f"{path.name} --timing", [sys.executable, str(path), "--timing"])
                     for path in system if "\n@timed\n" in path.read_text())],
    }


def rank(program: tuple[str, list[str]]) -> int:
    """Returns the program's place in LONGEST, or the place behind all of them."""
    return next((place for place, start in enumerate(LONGEST) if program[0].startswith(start)), len(LONGEST))


def run(name: str, command: list[str]) -> tuple[int, int, int]:
    """Runs one program and keeps its output in a log. Returns the counts of its last line."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / (re.sub(r"\W+", "_", name) + ".log")
    start = time.monotonic()
    with log.open("wb") as out:
        status = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    text = log.read_text(errors="replace").replace("\r", "")
    found = VERDICT.findall(text)
    passed, failed, skipped = (int(n or 0) for n in found[-1]) if found else (0, 0, 0)
    if status != 0 and failed == 0:
        failed = 1
    report = []
    if not found and status == 0:
        report.append(f"   {name} printed no verdict")
        failed = 1
    if failed:
        lines = text.splitlines()
        bad = [line for line in lines if re.match(r"not ok|#   |FAIL|.*[Ee]rror|.*PANIC", line)]
        report += [f"   {line[:400]}" for line in (bad[-30:] or lines[-30:])]
        report.append(f"   whole output: {log.relative_to(ROOT)}")
    skips = f", {skipped} skipped" if skipped else ""
    report.append(f"{name}: {passed} passed, {failed} failed{skips} ({time.monotonic() - start:.1f} s)")
    print("\n".join(report), flush=True)
    return passed, failed, skipped


def main() -> None:
    table = stages()
    wanted = sys.argv[1:] or [stage for stage in table if stage != "timing"]
    if unknown := [w for w in wanted if w not in table]:
        sys.exit(f"run_tests: no stage {unknown[0]!r}; stages: {', '.join(table)}")
    totals = [0, 0, 0]
    for stages_now, at_once in (([s for s in wanted if s not in ALONE], AT_ONCE),
                                ([s for s in wanted if s in ALONE], 1)):
        programs = [row for stage in stages_now for row in table[stage]]
        programs.sort(key=rank)
        if programs:
            print(f"== {', '.join(stages_now)}: {len(programs)} program(s), {at_once} at a time", flush=True)
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            for counts in pool.map(lambda row: run(*row), programs):
                totals = [a + b for a, b in zip(totals, counts)]
    passed, failed, skipped = totals
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
