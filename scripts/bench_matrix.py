#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs `bench` over a matrix of boot options and writes one CSV: bench_matrix.py [-o FILE] [OPTION=A,B...]

bench_matrix.py threads=1,2 context=512,2048 kernels=auto,sse2     every combination, in the hosted twin
bench_matrix.py --qemu --cpu max threads=1,2                       the same in QEMU
bench_matrix.py --profile full --repeats 3 --limit decode=20       slower than 20 tok/s is a failure

Each row has the options, the repeat, and what bench --csv prints. A combination that fails or takes
longer than --timeout seconds leaves a row with its reason. Exit status 1 when one did, or a limit
was missed.
"""
import argparse
import csv
import itertools
import pathlib
import re
import subprocess
import sys

from qemu_test import CPU_FAST, Guest, Hang

ROOT = pathlib.Path(__file__).resolve().parent.parent
TWIN = ROOT / "build/host/marrow"
MODEL = ROOT / "build/models/SmolLM2-135M-Instruct.Q4_1.gguf"
PROFILES = {"quick": "bench --quick --csv", "full": "bench --csv"}
COLUMNS = ["prompt", "generate", "batch", "prefill_tok_s", "decode_tok_s", "gap_p50_ms", "gap_p99_ms", "gap_max_ms"]


def output_of(options: argparse.Namespace, chosen: dict[str, str]) -> str:
    """What one machine with these boot options says."""
    words = [f"{name}={value}" for name, value in chosen.items()] + options.boot
    script = f"run={PROFILES[options.profile]}; poweroff"
    if not options.qemu:
        command = [str(TWIN), f"model={options.model}", *words, script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=options.timeout, check=False,
                              stdin=subprocess.DEVNULL)
        return done.stdout
    name, value = script.split("=", 1)
    cpus = int(chosen.get("threads", "2"))
    with Guest(" ".join([*words, f'{name}="{value}"']), cpus=cpus, memory=options.memory, cpu=options.cpu,
               model=options.model) as guest:
        guest.wait_exit(options.timeout)
        return guest.output


def rows_of(text: str) -> list[list[str]]:
    return [line.split(",") for line in re.findall(r"^[\d.]+(?:,[\d.]+){%d}$" % (len(COLUMNS) - 1), text, re.M)]


def missed(limits: dict[str, float], row: list[str]) -> list[str]:
    """The limits that this row is below; a rate of 0 means that the row does not measure it."""
    rates = {"prefill": float(row[3]), "decode": float(row[4])}
    return [f"{name} {rates[name]} < {least}" for name, least in limits.items() if 0 < rates[name] < least]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("axes", nargs="*", metavar="OPTION=A,B")
    parser.add_argument("-o", "--output", default="-")
    parser.add_argument("--profile", choices=PROFILES, default="quick")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=600, help="seconds a run may take")
    parser.add_argument("--limit", action="append", default=[], metavar="prefill|decode=TOK_S")
    parser.add_argument("--boot", action="append", default=[], metavar="OPTION", help="given to every run")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--qemu", action="store_true")
    parser.add_argument("--cpu", default=CPU_FAST)
    parser.add_argument("--memory", default="2G")
    options = parser.parse_args()
    axes = {name: values.split(",") for name, _, values in (axis.partition("=") for axis in options.axes)}
    limits = {name: float(least) for name, _, least in (limit.partition("=") for limit in options.limit)}
    if unknown := set(limits) - {"prefill", "decode"}:
        parser.error(f"no such limit: {unknown.pop()}")
    failures = 0
    with (sys.stdout if options.output == "-" else open(options.output, "w", encoding="utf-8", newline="")) as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*axes, "repeat", *COLUMNS, "verdict"])
        for values, repeat in itertools.product(itertools.product(*axes.values()), range(1, options.repeats + 1)):
            try:
                rows = rows_of(output_of(options, dict(zip(axes, values))))
                problem = "" if rows else "no figures"
            except (subprocess.TimeoutExpired, Hang):
                rows, problem = [], f"longer than {options.timeout:g} s"
            for row in rows or [[""] * len(COLUMNS)]:
                verdict = problem or "; ".join(missed(limits, row)) or "ok"
                failures += verdict != "ok"
                writer.writerow([*values, repeat, *row, verdict])
                out.flush()
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
