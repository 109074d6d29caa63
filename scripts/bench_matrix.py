#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs `bench` over a matrix of boot options and writes one CSV: bench_matrix.py [-o FILE] [OPTION=A,B...]

bench_matrix.py threads=1,2 context=512,2048 kernels=auto,sse2     every combination, in the hosted twin
bench_matrix.py --qemu --cpu max threads=1,2                       the same in QEMU
bench_matrix.py --profile full --repeats 3 --limit decode=20       slower than 20 tok/s is a failure
bench_matrix.py threads=1,2 --cases 64:48:1,64:48:2,64:48:4        batches of 1, 2 and 4 requests

An axis is a boot option and its values. Each row has the options, the repeat, and what bench --csv
prints: a row of one run for each prompt length and batch of the profile, or for each case. A
combination that fails or takes longer than --timeout seconds leaves a row with its reason. Exit
status 1 when one did, or a limit was missed.
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
    """Returns the output of one machine with these boot options."""
    words = [f"{name}={value}" for name, value in chosen.items()] + options.boot
    bench = f"bench --csv --cases {options.cases}" if options.cases else PROFILES[options.profile]
    script = f"run={bench}; poweroff"
    if not options.qemu:
        command = [str(TWIN), f"model={options.model}", *words, script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=options.timeout, check=False,
                              stdin=subprocess.DEVNULL)
        return done.stdout + done.stderr
    name, value = script.split("=", 1)
    cpus = int(chosen.get("threads", "2"))
    with Guest(" ".join([*words, f'{name}="{value}"']), cpus=cpus, memory=options.memory, cpu=options.cpu,
               model=options.model) as guest:
        guest.wait_exit(options.timeout)
        return guest.output


def rows_of(text: str) -> list[list[str]]:
    return [line.split(",") for line in re.findall(r"^[\d.]+(?:,[\d.]+){%d}$" % (len(COLUMNS) - 1), text, re.M)]


def reason(text: str) -> str:
    """Returns why there are no figures: the machine's last message, without its advice."""
    advice = ("switching off", "usage: ", "marrow: --help")
    said = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(advice)]
    return f"no figures: {said[-1]}" if said else "no figures, and not a word"


def missed(limits: dict[str, float], row: list[str]) -> list[str]:
    """Returns the limits that this row misses. A rate of 0 means that the row does not measure it."""
    rates = {"prefill": float(row[3]), "decode": float(row[4])}
    return [f"{name} {rates[name]} < {least}" for name, least in limits.items() if 0 < rates[name] < least]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("axes", nargs="*", metavar="OPTION=A,B", help="a boot option and the values to run with")
    parser.add_argument("-o", "--output", default="-", help="the CSV file; default: the terminal")
    parser.add_argument("--profile", choices=PROFILES, default="quick", help="quick: a few rows; full: all of them")
    parser.add_argument("--cases", metavar="P:T:N,...", help="tokens of the prompt, tokens made, requests at once")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each combination")
    parser.add_argument("--timeout", type=float, default=600, help="seconds a run may take")
    parser.add_argument("--limit", action="append", default=[], metavar="prefill|decode=TOK_S",
                        help="fails below this rate")
    parser.add_argument("--boot", action="append", default=[], metavar="OPTION", help="given to every run")
    parser.add_argument("--model", default=MODEL, help="a GGUF file")
    parser.add_argument("--qemu", action="store_true", help="the kernel in QEMU, as many CPUs as threads=")
    parser.add_argument("--cpu", default=CPU_FAST, help="QEMU's -cpu")
    parser.add_argument("--memory", default="2G", help="QEMU's -m")
    options = parser.parse_args()
    if wrong := next((axis for axis in options.axes if not re.fullmatch(r"[\w.]+=[^=]+", axis)), None):
        parser.error(f"{wrong}: an axis is OPTION=A,B")
    axes = {name: values.split(",") for name, _, values in (axis.partition("=") for axis in options.axes)}
    needed = [options.model] if options.qemu else [options.model, TWIN]
    if missing := next((path for path in needed if not pathlib.Path(path).exists()), None):
        parser.error(f"{missing} is missing: `make host` builds the twin, `make model` fetches a model")
    limits = {name: float(least) for name, _, least in (limit.partition("=") for limit in options.limit)}
    if unknown := set(limits) - {"prefill", "decode"}:
        parser.error(f"no such limit: {unknown.pop()}")
    failures = 0
    with (sys.stdout if options.output == "-" else open(options.output, "w", encoding="utf-8", newline="")) as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*axes, "repeat", *COLUMNS, "verdict"])
        for values, repeat in itertools.product(itertools.product(*axes.values()), range(1, options.repeats + 1)):
            try:
                text = output_of(options, dict(zip(axes, values)))
                rows = rows_of(text)
                problem = "" if rows else reason(text)
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
