#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures what a draft model saves: the hosted twin with it, with lookup alone, and without guesses, in turns.

bench_draft.py [--draft FILE] [--model FILE] [--rounds 5] [--threads 2] [--kernels NAME] [--tokens 200]

Without --model the model is the draft with its weights as F32 (needs PyPI's gguf and numpy), or F16 with
--form F16. Each round asks every twin the same questions, one after the other: free text and code, greedily
and at temperature 0.8 with a seed of the round. The answers must be the same bytes. Printed as a Markdown
table: medians of the decode rates, the ratio to no guesses (minimum, median, maximum), and the share of the
draft's guesses that were right.
"""
import argparse
import contextlib
import json
import pathlib
import statistics
import sys
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "tests/system"), str(ROOT / "tests/oracles")]

import serving  # noqa: E402

CHAT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
QUESTIONS = {"free text": CHAT.format("Write a long story about a lighthouse keeper and a storm."),
             "code": "import json\n\n\ndef read_settings(path):\n    \"\"\"Reads the settings of the program from a file.\"\"\"\n"}
TEMPERATURES = (0, 0.8)
WAYS = {"draft": "speculate=yes draft={}", "lookup": "speculate=yes", "none": "speculate=no"}


def other_form(draft, form):
    """Returns the path of the draft's weights as F32 or F16, which is written once."""
    target = ROOT / f"build/bench/{pathlib.Path(draft).stem}.{form}.gguf"
    if not target.exists():
        import gguf
        import numpy as np
        from our_logits import copy
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")

        def convert(tensor):
            floats = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
            return floats.astype(np.float16) if form == "F16" and floats.ndim > 1 else floats

        copy(gguf.GGUFReader(draft), part, convert)
        part.rename(target)
    return target


def ask(base, question, tokens, temperature, seed):
    body = {"prompt": question, "n_predict": tokens, "temperature": temperature, "seed": seed, "cache_prompt": False}
    request = urllib.request.Request(f"{base}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.load(answer)


def measure(args):
    rows = {(name, heat): {way: [] for way in WAYS} for name in QUESTIONS for heat in TEMPERATURES}
    right = {row: [0, 0] for row in rows}
    pin = ["taskset", "-c", f"0-{args.threads - 1}"]
    common = f"auth=none admin=open log=warn context=2048 threads={args.threads} kernels={args.kernels} "
    with contextlib.ExitStack() as stack:
        bases = {way: stack.enter_context(serving.twin(str(ROOT / "build/host/marrow"), args.model,
                                                       common + more.format(args.draft), pin))[0]
                 for way, more in WAYS.items()}
        for turn in range(args.rounds + 1):
            for name, heat in rows:
                answers = {way: ask(base, QUESTIONS[name], args.tokens, heat, turn) for way, base in bases.items()}
                if len({a["content"] for a in answers.values()}) != 1:
                    sys.exit(f"bench: other bytes for {name} at {heat}: {[a['content'] for a in answers.values()]}")
                if turn == 0:
                    continue  # the first round reads the weights
                for way, answer in answers.items():
                    rows[name, heat][way].append(answer["timings"]["predicted_per_second"])
                for i, field in enumerate(("draft_n_accepted", "draft_n")):
                    right[name, heat][i] += answers["draft"]["timings"][field]
            if turn > 0:
                print(f"  ROUND    {turn}/{args.rounds}", file=sys.stderr, flush=True)
    return rows, right


def spread(ratios):
    return f"{min(ratios):.2f} – **{statistics.median(ratios):.2f}** – {max(ratios):.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draft", default=str(ROOT / "build/models/SmolLM2-135M-Instruct.Q4_1.gguf"))
    parser.add_argument("--model")
    parser.add_argument("--form", choices=("F32", "F16"), default="F32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--kernels", default="auto")
    args = parser.parse_args()
    args.draft = str(pathlib.Path(args.draft).resolve())
    args.model = str(args.model or other_form(args.draft, args.form))
    rows, right = measure(args)
    print(f"{pathlib.Path(args.model).stem}, draft {pathlib.Path(args.draft).stem}, {args.threads} threads, kernels "
          f"{args.kernels}, {args.rounds} rounds\n")
    print("| answer, tokens/s; the same bytes | draft model | lookup alone | no guesses | draft : none, min – median – max "
          "| guesses right |\n|---|---|---|---|---|---|")
    for (name, heat), rates in rows.items():
        ratios = [a / b for a, b in zip(rates["draft"], rates["none"])]
        medians = " | ".join(f"{statistics.median(rates[way]):.1f}" for way in WAYS)
        accepted, drafted = right[name, heat]
        print(f"| {name}, temperature {heat} | {medians} | {spread(ratios)} | {100 * accepted / max(drafted, 1):.0f} % |")


main()
