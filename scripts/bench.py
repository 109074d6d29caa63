#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Speed of the hosted twin beside llama.cpp, on the same cores, in the same minutes.

bench.py [--model FILE] [--rounds 5] [--threads 2] [--quick] [--python INTERPRETER]
         [--kernels NAME] [--out FILE]

Each round runs the twin, then llama.cpp with its next setting of {flash attention off, on} x
{repacking on, off}, and so on (A B A B), both pinned to the same cores; per row llama.cpp counts
with the best of its settings' medians. Ratios compare neighbours in time: minimum, median, maximum.
Without --python a virtual environment with the pinned llama-cpp-python is made under build/bench
(compiled natively once; needs cmake and a C++ compiler). N-gram speculation is off: both sides do
the same work. The machine's read bandwidth and int8 peak come from build/host/bench_kernels.
"""
import argparse
import csv
import datetime
import io
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEER = "llama-cpp-python==0.3.36"
SETTINGS = [(0, 1), (1, 1), (0, 0), (1, 0)]  # flash attention, repacking


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def peer_python():
    """An interpreter that has the pinned llama.cpp. AVX512-FP16 slows its flash attention: off."""
    home = ROOT / "build/bench/venv"
    python = home / "bin/python"
    if not python.exists():
        print(f"  VENV     {home}: {PEER}, compiled natively", file=sys.stderr)
        run([sys.executable, "-m", "venv", home])
        flags = "-DGGML_NATIVE=ON"
        if "avx512_fp16" in pathlib.Path("/proc/cpuinfo").read_text():
            flags += " -DCMAKE_C_FLAGS=-mno-avx512fp16 -DCMAKE_CXX_FLAGS=-mno-avx512fp16"
        run([python, "-m", "pip", "install", "-q", PEER], env=os.environ | {"CMAKE_ARGS": flags})
    return python


def rows_of(text):
    """{(prompt, generate, batch): (prefill, decode, p50, p99, max)} from a `bench --csv`."""
    lines = [line for line in text.splitlines() if line.count(",") == 7]
    rows = {}
    for row in csv.DictReader(io.StringIO("\n".join(lines))):
        key = (int(row["prompt"]), int(row["generate"]), int(row["batch"]))
        rows[key] = tuple(float(v) for v in list(row.values())[3:])
    return rows


def twin_rows(args, cores):
    out = run(["taskset", "-c", cores, ROOT / "build/host/marrow", f"threads={args.threads}",
               f"model={args.model}", f"kernels={args.kernels}", "speculate=no",
               f"run=bench --csv{' --quick' if args.quick else ''}; poweroff"])
    rows = rows_of(out)
    if not rows:
        sys.exit(f"no rows from the twin:\n{out[-2000:]}")
    return rows


def peer_rows(args, cores, python, cases, setting):
    text = ",".join(":".join(map(str, case)) for case in cases)
    return rows_of(run(["taskset", "-c", cores, python, ROOT / "scripts/bench_peer.py", args.model,
                        "--threads", str(args.threads), "--flash", str(setting[0]),
                        "--repack", str(setting[1]), "--cases", text]))


def spread(values):
    return f"{min(values):.2f}–{statistics.median(values):.2f}–{max(values):.2f}"


def best_setting(runs, key, column):
    """The peer's setting with the best median in this row."""
    medians = {s: statistics.median(r[key][column] for _, r in runs[s]) for s in runs if runs[s]}
    return max(medians, key=medians.get)


def table(ours, runs):
    lines = ["| prompt | tokens | batch | what | marrow tok/s | llama.cpp tok/s (setting) | ratio min–median–max |",
             "|---|---|---|---|---|---|---|"]
    for key in ours[0]:
        for column, what in ((0, "prefill"), (1, "decode")):
            mine = [r[key][column] for r in ours]
            if not min(mine):
                continue
            setting = best_setting(runs, key, column)
            theirs = [r[key][column] for _, r in runs[setting]]
            ratios = [ours[i][key][column] / r[key][column] for i, r in runs[setting]]
            name = f"flash {'on' if setting[0] else 'off'}, repack {'on' if setting[1] else 'off'}"
            lines.append(f"| {key[0]} | {key[1]} | {key[2]} | {what} | {statistics.median(mine):.1f} | "
                         f"{statistics.median(theirs):.1f} ({name}) | {spread(ratios)} |")
    return lines


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown CPU"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=str(ROOT / "build/models/SmolLM2-135M-Instruct.Q4_1.gguf"))
    parser.add_argument("--rounds", type=int, default=5, help="of every llama.cpp setting")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--python", help="an interpreter that has llama-cpp-python")
    parser.add_argument("--kernels", default="auto")
    parser.add_argument("--quick", action="store_true", help="the console's short matrix")
    parser.add_argument("--out", default=str(ROOT / "build/bench/results.md"))
    args = parser.parse_args()
    python = args.python or peer_python()
    cores = f"0-{args.threads - 1}"

    limits = run([ROOT / "build/host/bench_kernels", args.kernels, "64", "2048", "none"]).splitlines()[0]
    ours, runs = [], {setting: [] for setting in SETTINGS}
    for turn in range(args.rounds * len(SETTINGS)):
        setting = SETTINGS[turn % len(SETTINGS)]
        ours.append(twin_rows(args, cores))
        runs[setting].append((turn, peer_rows(args, cores, python, list(ours[0]), setting)))
        print(f"  ROUND    {turn + 1}/{args.rounds * len(SETTINGS)}", file=sys.stderr, flush=True)

    commit = run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"]).strip()
    load = os.getloadavg()[0]
    lines = [f"{datetime.date.today()}, {cpu_name()}, {args.threads} threads, commit {commit}, "
             f"load average {load:.1f}", "", f"`scripts/bench.py {' '.join(sys.argv[1:])}`", "",
             f"Model {pathlib.Path(args.model).name}; peer {PEER}. Limits of the machine: {limits}.",
             ""] + table(ours, runs)
    pathlib.Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(args.out).write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


main()
