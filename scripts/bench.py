#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures the hosted twin and llama.cpp on the same cores, in turns.

bench.py [--model FILE] [--rounds 5] [--threads 2] [--kernels NAME] [--peer-lib FOLDER] [--cases P:T:N,...]
         [--settings 00,01,10,11] [--python INTERPRETER] [--busy] [--keep] [--report-only] [--wiki FILE]
bench.py --twins OLD NEW [--model FILE] ...       two builds of the twin against each other
bench.py --twins OLD NEW --gate 5 [--rounds 9]    fails if a row of two models is slower by 5 % for certain
bench.py --quote [--model FILE] ...               n-gram speculation on and off, the same answers
bench.py --scaling [--model FILE] ...             both sides with one thread and with two
bench.py --suite [--rounds 5] ...                 all of that, of all models and with AVX2 only

Each round runs the twin, then llama.cpp with its next setting of {flash attention off, on} x
{repacking off, on}, and so on (A B A B), both pinned to the same cores; per row llama.cpp counts
with the best of its settings' medians. Ratios compare neighbours in time: minimum, median, maximum.
Samples are kept in build/bench/samples.jsonl; --keep adds to those of earlier runs, so that a
busy machine can be measured in short pieces. The report is of all samples kept.
--suite makes the models with random weights first (scripts/make_random_model.py; 6 GB in build/bench).
Without --python a virtual environment with the pinned llama-cpp-python is made under build/bench
(compiled natively once; needs cmake and a C++ compiler). --peer-lib names a folder with other builds
of llama.cpp's libraries. N-gram speculation is off: both sides do the same work. The machine's read
bandwidth and int8 peak come from build/host/bench_kernels, measured in each round.
"""
import argparse
import csv
import datetime
import io
import json
import math
import multiprocessing
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEER = "llama-cpp-python==0.3.36"
CASES = "32:1:1,128:1:1,512:1:1,2048:64:1,16:128:1,512:64:1,16:32:2,16:32:4,16:32:8"
SAMPLES = ROOT / "build/bench/samples.jsonl"
CONTEXT = 4096


def run(command, **more):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def peer_python(kernels="auto"):
    """Returns an interpreter that has the pinned llama.cpp, built for this CPU or for any CPU with AVX2.

    AVX512-FP16 slows llama.cpp's flash attention: off."""
    home = ROOT / "build/bench" / ("venv-avx2" if kernels == "avx2" else "venv")
    ready = home / "ready"
    if not ready.exists():
        flags = "-DGGML_NATIVE=ON"
        if kernels == "avx2":
            flags = "-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON"
        elif "avx512_fp16" in pathlib.Path("/proc/cpuinfo").read_text():
            flags += " -DCMAKE_C_FLAGS=-mno-avx512fp16 -DCMAKE_CXX_FLAGS=-mno-avx512fp16"
        print(f"  VENV     {home}: {PEER}, compiled once (minutes): {flags}", file=sys.stderr, flush=True)
        run([sys.executable, "-m", "venv", home])
        run([home / "bin/python", "-m", "pip", "install", "-q", "--no-cache-dir", PEER, "gguf"],
            env=os.environ | {"CMAKE_ARGS": flags})
        ready.touch()
    return home / "bin/python"


def rows_of(text):
    """{"prompt:generate:batch": [prefill, decode, p50, p99, max]} from a `bench --csv`."""
    lines = [line for line in text.splitlines() if line.count(",") == 7]
    rows = {}
    for row in csv.DictReader(io.StringIO("\n".join(lines))):
        values = list(row.values())
        rows[":".join(values[:3])] = [float(v) for v in values[3:]]
    return rows


class Machine:
    """Runs the twin or llama.cpp and returns what was measured."""

    def __init__(self, args):
        self.args = args
        self.pin = ["taskset", "-c", f"0-{args.threads - 1}"]

    def twin(self, binary):
        args = self.args
        out = run([*self.pin, binary, f"threads={args.threads}", f"model={args.model}", f"kernels={args.kernels}",
                   f"context={CONTEXT}", "speculate=no", f"run=bench --csv --cases {args.cases}; poweroff"])
        return rows_of(out) or sys.exit(f"no rows from the twin:\n{out[-2000:]}")

    def twin_start(self, binary):
        """Measures the time from the start of the process to the first token, with the packed model, and the memory."""
        args = self.args
        packed = ROOT / "build/bench" / f"{pathlib.Path(args.model).stem}.packed.gguf"
        if not packed.exists():
            run([ROOT / "build/host/pack", args.model, packed])
        command = [*self.pin, binary, f"threads={args.threads}", f"model={packed}", f"kernels={args.kernels}",
                   "context=2048", "speculate=no", "run=bench --csv --cases 16:1:1; poweroff"]
        begin = time.perf_counter()
        child = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))} ended with {child.returncode}")
        return {"first_token_ms": 1000 * (time.perf_counter() - begin), "before_kb": 0, "peak_kb": usage.ru_maxrss}

    def peer(self, setting, *more):
        args = self.args
        env = os.environ | ({"LLAMA_CPP_LIB_PATH": args.peer_lib} if args.peer_lib else {})
        return run([*self.pin, args.python, ROOT / "scripts/bench_peer.py", args.model, "--threads", args.threads,
                    "--flash", setting[0], "--repack", setting[1], *more], env=env)

    def limits(self):
        line = run([ROOT / "build/host/bench_kernels", self.args.kernels, "192", "2048", "none"]).splitlines()[0]
        read = re.search(r"read ([\d.]+) / ([\d.]+) GB/s, int8 (\d+) / (\d+)", line)
        return dict(zip(("read1", "read2", "int8_1", "int8_2"), map(float, read.groups())))


def group_of(args):
    kernels = args.kernels if args.kernels == "auto" else f"{args.kernels} only"
    busy = ", core 0 busy with something else" * args.busy
    return f"{pathlib.Path(args.model).stem}, {args.threads} thread{'s' * (args.threads > 1)}, kernels {kernels}{busy}"


def spin():
    os.sched_setaffinity(0, {0})
    while True:
        pass


def commit_of(folder):
    return run(["git", "-C", folder, "rev-parse", "--short", "HEAD"]).strip()


def measure(args):
    machine = Machine(args)
    if args.busy:
        multiprocessing.Process(target=spin, daemon=True).start()  # ends with this process
    twin = ROOT / "build/host/marrow"
    about = {"group": group_of(args), "commit": commit_of(ROOT), "date": str(datetime.date.today()),
             "model_kb": os.path.getsize(args.model) // 1024}
    with SAMPLES.open("a", encoding="utf-8") as out:
        for turn in range(args.rounds * len(args.settings)):
            setting = args.settings[turn % len(args.settings)]
            sample = about | {"limits": machine.limits(), "twin": machine.twin(twin), "setting": setting,
                              "peer": rows_of(machine.peer(setting, "--cases", args.cases)),
                              "twin_start": machine.twin_start(twin),
                              "peer_start": json.loads(machine.peer(setting, "--start"))}
            out.write(json.dumps(sample) + "\n")
            out.flush()
            print(f"  ROUND    {turn + 1}/{args.rounds * len(args.settings)}", file=sys.stderr, flush=True)


# ---- speculation ----

# A prompt whose answer quotes it, and one whose answer has nothing to quote.
PASSAGE = ("A kernel that runs a language model has no operating system below it. It finds the memory, the processors and "
           "the devices by itself, maps the weights where they lie, and answers at a console. The rows of each matrix are "
           "interleaved in groups of sixteen, so that a lane of a vector register owns a row.")
QUESTIONS = {"answer that quotes its prompt": f"Repeat the following text, word for word.\n\n{PASSAGE}",
             "answer with nothing to quote": "Write a poem about the sea in winter."}


def answer(args, machine, question, speculate):
    """(token ids, tokens a second) of a greedy answer."""
    prompt = ROOT / "build/bench/question.txt"
    prompt.write_text(f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n", encoding="utf-8")
    out = run([*machine.pin, ROOT / "build/host/marrow", f"threads={args.threads}", f"model={args.model}",
               f"kernels={args.kernels}", "context=2048", f"speculate={'yes' if speculate else 'no'}",
               f"run=llm --file /host{prompt} --json 200; poweroff"])
    found = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
    return found["ids"], 1e9 * (found["generated_tokens"] - 1) / found["decode_ns"]


def measure_quotes(args):
    machine = Machine(args)
    with SAMPLES.open("a", encoding="utf-8") as out:
        for turn in range(args.rounds):
            rates = {}
            for what, question in QUESTIONS.items():
                (ids, on), (same, off) = (answer(args, machine, question, speculate) for speculate in (True, False))
                if ids != same:
                    sys.exit(f"bench: other tokens with speculation: {ids} {same}")
                rates[what] = [on, off]
            sample = {"group": f"{group_of(args)}, n-gram speculation", "commit": commit_of(ROOT),
                      "date": str(datetime.date.today()), "rates": rates}
            out.write(json.dumps(sample) + "\n")
            print(f"  ROUND    {turn + 1}/{args.rounds}", file=sys.stderr, flush=True)


def quote_lines(samples):
    yield "| greedy decode, tokens/s; the same tokens | with | without | ratio: min – median – max |"
    yield "|---|---|---|---|"
    for what in samples[0]["rates"]:
        on, off = ([s["rates"][what][i] for s in samples] for i in (0, 1))
        ratios = [a / b for a, b in zip(on, off)]
        yield f"| {what} | {statistics.median(on):.1f} | {statistics.median(off):.1f} | {spread(ratios)} |"


# ---- one thread and two ----

def measure_scaling(args):
    """Returns the decode rates of both with one thread and two, and the read bandwidth of the threads."""
    key = "16:128:1"
    machines = [Machine(argparse.Namespace(**vars(args) | {"threads": threads, "cases": key})) for threads in (1, 2)]
    name = f"{pathlib.Path(args.model).stem}, decode with one thread and two"
    with SAMPLES.open("a", encoding="utf-8") as out:
        for turn in range(args.rounds * len(args.settings)):
            setting = args.settings[turn % len(args.settings)]
            limits = machines[0].limits()
            rates = {"reads, GB/s": [limits["read1"], limits["read2"]], "marrow, tokens/s": [],
                     "llama.cpp, tokens/s": []}
            for one in machines:
                rates["marrow, tokens/s"].append(one.twin(ROOT / "build/host/marrow")[key][1])
                rates["llama.cpp, tokens/s"].append(rows_of(one.peer(setting, "--cases", key))[key][1])
            sample = {"group": name, "commit": commit_of(ROOT), "date": str(datetime.date.today()),
                      "setting": setting, "scaling": rates}
            out.write(json.dumps(sample) + "\n")
            out.flush()
            print(f"  ROUND    {turn + 1}/{args.rounds * len(args.settings)}", file=sys.stderr, flush=True)


def scaling_lines(samples):
    yield "| what | one thread | two | ratio: min – median – max |"
    yield "|---|---|---|---|"
    for what in samples[0]["scaling"]:
        chosen = samples
        if what.startswith("llama"):  # its best setting with two threads
            def rate(setting, what=what):
                return statistics.median(s["scaling"][what][1] for s in samples if s["setting"] == setting)
            best = max({s["setting"] for s in samples}, key=rate)
            chosen = [s for s in samples if s["setting"] == best]
        one, two = ([s["scaling"][what][i] for s in chosen] for i in (0, 1))
        ratios = [b / a for a, b in zip(one, two)]
        yield f"| {what} | {statistics.median(one):.1f} | {statistics.median(two):.1f} | {spread(ratios)} |"


# ---- all rows ----

# (model, more arguments); a model is SmolLM2 or the format of one with random weights.
SHORT, LONG = "512:1:1,16:64:1", "512:1:1,2048:32:1,16:64:1,16:32:8"
SUITE = [
    ("", {"threads": 2, "cases": CASES}),
    ("", {"threads": 1, "cases": "16:128:1"}),
    ("1.1B.Q4_K_M", {"threads": 2, "cases": LONG}),
    *((f"1.1B.{kind}", {"threads": 2, "cases": SHORT, "settings": ["10", "11"]}) for kind in ("Q8_0", "Q6_K", "Q5_K_M", "Q4_0")),
    ("1.1B.Q4_K_M", {"threads": 2, "cases": LONG, "kernels": "avx2"}),
    ("", {"threads": 2, "cases": CASES, "kernels": "avx2"}),
]


def suite_model(args, name):
    """Returns the model file of a row. A file with random weights is made if it is missing."""
    if not name:
        return args.model
    shape, kind = name.rsplit(".", 1)
    folder = ROOT / "build/bench"
    run([args.python or peer_python(), ROOT / "scripts/make_random_model.py", folder, "--shape", shape, kind])
    return str(folder / f"random-{name}.gguf")


def measure_suite(args):
    for name, more in SUITE:
        row = argparse.Namespace(**vars(args) | more | {"model": suite_model(args, name)})
        given = args.python if row.kernels != "avx2" or args.peer_lib else None  # its llama.cpp is this CPU's
        row.python = given or peer_python(row.kernels)
        print(f"  BENCH    {group_of(row)}", file=sys.stderr, flush=True)
        measure(row)
    measure_quotes(args)
    for name in ("", "25M.Q4_0"):
        print(f"  BENCH    {name or 'SmolLM2'}, one thread and two", file=sys.stderr, flush=True)
        measure_scaling(argparse.Namespace(**vars(args) | {"model": suite_model(args, name)}))


# ---- the report ----

def spread(values):
    return f"{min(values):.2f} – **{statistics.median(values):.2f}** – {max(values):.2f}"


def setting_name(setting):
    return f"flash {'on' if setting[0] == '1' else 'off'}, repack {'on' if setting[1] == '1' else 'off'}"


def compare(samples, twin_of, peer_of, less_is_better=False):
    """(our median, the peer's median in its best setting, that setting, ratios of neighbours)"""
    by_setting = {}
    for sample in samples:
        ours, theirs = twin_of(sample), peer_of(sample)
        if ours and theirs:
            by_setting.setdefault(sample["setting"], []).append((ours, theirs))
    if not by_setting:
        return None
    medians = {s: statistics.median(theirs for _, theirs in pairs) for s, pairs in by_setting.items()}
    best = (min if less_is_better else max)(medians, key=medians.get)
    ours = [a for pairs in by_setting.values() for a, _ in pairs]
    return statistics.median(ours), medians[best], best, [a / b for a, b in by_setting[best]]


def what_of(key, column):
    prompt, _, batch = key.split(":")
    if column == 0:
        return f"prefill {prompt}" + (f" × {batch}" if batch != "1" else "")
    return f"decode at depth {prompt}" + (f", {batch} at once" if batch != "1" else "")


def speed_rows(samples):
    """Returns one row per measurement. Cases that differ only in length share a row."""
    keys = list(dict.fromkeys(key for sample in samples for key in sample["twin"]))
    for column in (0, 1):
        alike = {}
        for key in keys:
            prompt, generate, batch = map(int, key.split(":"))
            if (column == 0 and (batch > 1 or (generate > 1 and prompt < 1024))) or (column == 1 and generate == 1):
                continue
            alike.setdefault(what_of(key, column), []).append(key)
        for what, same in alike.items():
            def value(side, same=same):
                return lambda s: next((s[side][key][column] for key in same if key in s[side]), 0)
            found = compare(samples, value("twin"), value("peer"))
            if found:
                yield [what + ", tokens/s", *found]


def other_rows(samples):
    def jitter(side):
        def value(sample):
            rows = [row for key, row in sample[side].items() if key.startswith("16:") and key.endswith(":1")]
            return rows[0][3] - rows[0][2] if rows else None
        return value
    found = compare(samples, jitter("twin"), jitter("peer"), True)
    if found:
        yield ["p99 − p50 of the gaps at depth 16, ms (less is better)", *found]
    found = compare(samples, lambda s: s["twin_start"]["first_token_ms"], lambda s: s["peer_start"]["first_token_ms"], True)
    if found:
        yield ["load (packed) to first token, warm cache, ms (less is better)", *found]
    found = compare(samples, lambda s: (s["twin_start"]["peak_kb"] - s["model_kb"]) / 1024,
                    lambda s: (s["peer_start"]["peak_kb"] - s["peer_start"]["before_kb"] - s["model_kb"]) / 1024, True)
    if found:
        yield ["peak resident memory beyond the file, context 2048, MiB (less is better)", *found]


def limits_line(samples):
    middle = {key: statistics.median(s["limits"][key] for s in samples) for key in samples[0]["limits"]}
    bound = [s["twin"][key][1] * s["model_kb"] * 1024e-9 / s["limits"]["read2"]
             for s in samples for key in s["twin"] if key.startswith("16:") and key.endswith(":1")]
    text = (f"Limits measured in the same rounds (medians): reads {middle['read1']:.1f} GB/s on one thread, "
            f"{middle['read2']:.1f} on two; int8 {middle['int8_1']:.0f} and {middle['int8_2']:.0f} GMAC/s.")
    if bound and ", 2 threads" in samples[0]["group"]:
        text += f" Decode at depth 16 reads the file at {spread(bound)} of the two-thread read rate."
    return text


def report(args):
    samples = [json.loads(line) for line in SAMPLES.read_text(encoding="utf-8").splitlines()]
    lines = []
    for group in dict.fromkeys(s["group"] for s in samples):
        own = [s for s in samples if s["group"] == group]
        commits = ", ".join(dict.fromkeys(s["commit"] for s in own))
        if "limits" not in own[0]:
            table = quote_lines(own) if "rates" in own[0] else scaling_lines(own)
            lines += [f"## {group}", "", f"{own[-1]['date']}, commit {commits}, {len(own)} rounds.", "", *table, ""]
            continue
        lines += [f"## {group}", "", f"{own[-1]['date']}, commit {commits}, {len(own)} rounds. {limits_line(own)}", "",
                  "| what | marrow | llama.cpp | its setting | ratio: min – median – max |", "|---|---|---|---|---|"]
        for name, ours, theirs, setting, ratios in [*speed_rows(own), *other_rows(own)]:
            lines.append(f"| {name} | {ours:.1f} | {theirs:.1f} | {setting_name(setting)} | {spread(ratios)} |")
        lines.append("")
    text = "\n".join(lines)
    print(text)
    if args.wiki:
        write_wiki(pathlib.Path(args.wiki), text)


def cpu_name():
    found = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else "unknown CPU"


def write_wiki(page, tables):
    """Replaces the text between the page's two marks and keeps the rest of the page."""
    begin, end = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
    text = page.read_text(encoding="utf-8")
    head, rest = text.split(begin)
    tail = rest.split(end)[1]
    about = f"{cpu_name()}, {os.cpu_count()} processors; peer {PEER}.\n\n"
    page.write_text(head + begin + about + tables + end + tail, encoding="utf-8")


# ---- two builds of the twin ----

# What a release is measured with: one small model, whose steps are short, and one that memory binds.
GATE = (("", CASES), ("1.1B.Q4_K_M", "128:1:1,16:32:1,16:16:4"))

def middle_of(ratios):
    """Returns the interval that holds the true median with 90 % certainty or more: order statistics, no assumption
    about the noise. Below five ratios that cannot be said: all of them."""
    ordered, count = sorted(ratios), len(ratios)
    outside, left = 0.0, 0
    while count >= 5 and 2 * (outside + math.comb(count, left) / 2**count) <= 0.1:
        outside += math.comb(count, left) / 2**count
        left += 1
    left = max(left - 1, 0)
    return ordered[left], ordered[count - 1 - left]


def verdict(low, high, margin):
    """What a whole interval says of a change by `margin`; "unclear" asks for more rounds."""
    if high < 1 - margin:
        return "slower"
    if low > 1 + margin:
        return "faster"
    return "same" if low >= 1 - margin and high <= 1 + margin else "unclear"


def compare_twins(args):
    """Returns True if no row is slower by more than --gate percent."""
    machine, samples = Machine(args), ([], [])
    for turn in range(args.rounds):
        for side in ((0, 1), (1, 0))[turn % 2]:  # whatever drifts hits both alike
            samples[side].append(machine.twin(args.twins[side]))
        print(f"  ROUND    {turn + 1}/{args.rounds}", file=sys.stderr, flush=True)
    old, new, margin = *samples, (args.gate or 5) / 100
    print(f"{pathlib.Path(args.model).stem}, {args.threads} threads, {args.rounds} rounds")
    print(f"| what | old tok/s | new tok/s | new / old: min – median – max | median, 90 % sure | {100 * margin:g} % |\n|---|---|---|---|---|---|")
    slower = False
    for key in new[0]:
        for column in (0, 1):
            a, b = [r[key][column] for r in old], [r[key][column] for r in new]
            if min(a + b) > 0:
                ratios = [y / x for x, y in zip(a, b)]
                low, high = middle_of(ratios)
                said = verdict(low, high, margin)
                slower |= said == "slower"
                print(f"| {what_of(key, column)} | {statistics.median(a):.1f} | {statistics.median(b):.1f} | {spread(ratios)} "
                      f"| {low:.2f} to {high:.2f} | {said} |", flush=True)
    return not slower


def gate(args):
    """Compares two builds with each model of GATE. Exits with 1 if a row is slower for certain."""
    good = [compare_twins(argparse.Namespace(**vars(args) | {"model": suite_model(args, name), "cases": cases}))
            for name, cases in GATE]
    print(f"gate: {'passed' if all(good) else f'a row is slower by more than {args.gate:g} %'}")
    sys.exit(0 if all(good) else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "build/models/SmolLM2-135M-Instruct.Q4_1.gguf"))
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every llama.cpp setting")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--kernels", default="auto")
    parser.add_argument("--cases", default=CASES)
    parser.add_argument("--settings", default="01,11,00,10", help="llama.cpp's flash attention and repacking, one digit each")
    parser.add_argument("--python", help="an interpreter that has llama-cpp-python")
    parser.add_argument("--peer-lib", help="LLAMA_CPP_LIB_PATH of the peer")
    parser.add_argument("--twins", nargs=2, metavar=("OLD", "NEW"))
    parser.add_argument("--gate", type=float, metavar="PERCENT", help="with --twins: the two models of the gate, and exit status 1")
    parser.add_argument("--quote", action="store_true", help="n-gram speculation on a text that quotes its prompt")
    parser.add_argument("--scaling", action="store_true", help="decode with one thread and with two")
    parser.add_argument("--suite", action="store_true", help="every row of the page")
    parser.add_argument("--busy", action="store_true", help="keeps core 0 busy with another process meanwhile")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--report-only", action="store_true")
    parser.add_argument("--wiki")
    args = parser.parse_args()
    args.settings = args.settings.split(",")
    if args.twins:
        return gate(args) if args.gate else compare_twins(args)
    SAMPLES.parent.mkdir(parents=True, exist_ok=True)
    if not args.report_only:
        if not args.quote and not args.suite:
            args.python = args.python or peer_python(args.kernels)
        if not args.keep:
            SAMPLES.unlink(missing_ok=True)
        measures = {"suite": measure_suite, "quote": measure_quotes, "scaling": measure_scaling}
        next((way for name, way in measures.items() if getattr(args, name)), measure)(args)
    return report(args)


main()
