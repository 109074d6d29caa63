#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Many receipts: answers of every kind made on one table of kernels, verified on others; changed ones must fail where they were changed.

The answers are drawn from a seed: greedy, sampled, mirostat, bound by a grammar or a schema, tools, stops, several choices,
texts that repeat so that guesses are right; eight clients ask at once, so that they are computed in batches. Each changed
receipt is signed anew by PyPI's cryptography, so that its signature is good and only the change can be found.
Usage: receipts_many.py [--answers 500] [--tampered 10000] [--kernels reference,sse2] [--seed 1] [--model FILE.gguf] [--twin PROGRAM]
Prints figures; exit status 1 when a verdict is wrong.
"""
import argparse
import collections
import concurrent.futures
import json
import pathlib
import random
import sys
import tempfile
import time

import serving
from harness import MODEL, TWIN
import test_receipts
from test_receipts import GBNF, SCHEMA, TOOL, USER, post, signed_by, twin

LOCAL = "http.bind=127.0.0.1"
WORDS = "the sea a robot moon who small once upon time garden rain under over light old tree".split()


def request(draw: random.Random, chats: bool) -> tuple[str, str, dict]:
    """One request: (its kind, path, body)."""
    text = " ".join(draw.choice(WORDS) for _ in range(draw.randrange(3, 24)))
    base = {"prompt": text, "n_predict": draw.randrange(4, 32), "seed": draw.randrange(2**50)}
    chat = {"messages": [{"role": "user", "content": text}], "max_tokens": draw.randrange(4, 40), "seed": draw.randrange(2**50)}
    completion, conversation = "/completion", "/v1/chat/completions"
    kinds = [
        ("greedy", completion, {**base, "temperature": 0}),
        ("sampled", completion, {**base, "temperature": draw.choice([0.3, 0.8, 1.5]), "top_k": draw.choice([0, 5, 40]),
                                 "top_p": draw.choice([0.5, 0.95, 1]), "repeat_penalty": draw.choice([1, 1.2])}),
        ("mirostat", completion, {**base, "mirostat": 2, "dry_multiplier": draw.choice([0, 0.8])}),
        ("order", completion, {**base, "samplers": draw.choice([["temperature", "top_k", "top_p"], "tmk", ["dry", "min_p", "top_p"]]),
                               "dry_multiplier": draw.choice([0, 1.5]), "min_p": 0.02}),
        ("breakers", completion, {**base, "prompt": (text + ", ") * 3, "dry_multiplier": 1.5, "dry_penalty_last_n": draw.choice([-1, 30]),
                                  "dry_sequence_breakers": draw.sample([",", "the", "\n", "é", "."], 2)}),
        ("bias", completion, {**base, "logit_bias": {draw.choice(WORDS): draw.choice([False, 2.5]), " the": -3}, "ignore_eos": True}),
        ("grammar", completion, {**base, "grammar": GBNF}),
        ("schema", completion, {**base, "json_schema": SCHEMA, "n_predict": 40}),
        ("stops", completion, {**base, "stop": [" the", "a", "\n"]}),
        ("speculation", completion, {**base, "prompt": (text + ". ") * 4, "temperature": 0}),
    ]
    if chats:
        kinds += [("tools", conversation, {**chat, "messages": USER, "tools": [TOOL], "tool_choice": "required"}),
                  ("choices", conversation, {**chat, "n": 3})]
    return draw.choice(kinds)


def make(base: str, count: int, seed: int, chats: bool) -> list[tuple[str, dict]]:
    """Receipts with their kinds."""
    draw = random.Random(seed)
    asked = [request(draw, chats) for _ in range(count)]

    def ask(one):
        kind, path, body = one
        status, answer = post(base, path, {**body, "receipt": True})
        if status != 200:
            raise AssertionError(f"{path} {body}: {status} {str(answer)[:300]}")
        return [(kind, receipt) for receipt in answer.get("receipts", [answer.get("receipt")])]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = [row for rows in pool.map(ask, asked) for row in rows]
    return found[:count]


def change(draw: random.Random, receipt: dict, vocabulary: int) -> tuple[dict, str, int]:
    """A receipt with one thing changed: (the receipt, the stage that must find it, the step)."""
    step = draw.randrange(len(receipt["answer"]))
    kind = draw.randrange(10)
    if kind < 7:
        answer = list(receipt["answer"])
        answer[step] = (answer[step] + 1 + draw.randrange(vocabulary - 1)) % vocabulary
        return {**receipt, "answer": answer}, "step", step
    if kind < 9:
        marks = list(receipt["marks"])
        marks[step] = f"{int(marks[step], 16) ^ 1 << draw.randrange(32):08x}"
        return {**receipt, "marks": marks}, "logits", step
    other = bytes(b ^ 1 for b in bytes.fromhex(receipt["text_sha256"])).hex()
    return {**receipt, "text_sha256": other}, "text", -1


def verdicts(base: str, receipts: list[dict]) -> list[tuple[int, dict]]:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda receipt: post(base, "/v1/receipts/verify", receipt), receipts))


def tamper(base: str, receipts: list[dict], count: int, seed: int, vocabulary: int) -> tuple[int, collections.Counter]:
    draw = random.Random(seed)
    wrong, kinds = 0, collections.Counter()
    for begin in range(0, count, 200):
        rows = [change(draw, draw.choice(receipts), vocabulary) for _ in range(min(200, count - begin))]
        signed = [signed_by(row[0], b"t" * 32) for row in rows]
        for (_, stage, step), (status, verdict) in zip(rows, verdicts(base, signed)):
            kinds[stage] += 1
            right = status == 200 and not verdict["valid"] and verdict["stage"] == stage and verdict.get("step", -1) == step
            if not right:
                wrong += 1
                print(f"changed for {stage} at {step}: {status} {str(verdict)[:300]}")
    return wrong, kinds


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--answers", type=int, default=500)
    parser.add_argument("--tampered", type=int, default=10_000)
    parser.add_argument("--kernels", default="reference,sse2")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default=str(MODEL))
    parser.add_argument("--twin", default=str(TWIN))
    options = parser.parse_args()
    test_receipts.TWIN = options.twin
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(options.model)
        with twin(folder, "kernels=auto", "requests=8", LOCAL, "http.queue=64", model=model) as base:
            begin = time.monotonic()
            status, _ = post(base, "/v1/chat/completions", {"messages": USER, "max_tokens": 1})
            made = make(base, options.answers, options.seed, status == 200)
            kinds = collections.Counter(kind for kind, _ in made)
            tokens = sum(len(receipt["answer"]) for _, receipt in made)
            print(f"{len(made)} answers of {tokens} tokens in {time.monotonic() - begin:.0f} s: {dict(kinds)}", flush=True)
        receipts = [receipt for _, receipt in made]
        for name in options.kernels.split(","):
            with twin(folder, f"kernels={name}", "chunk=16", "speculate=no", "requests=2", LOCAL, "http.queue=64", model=model) as base:
                begin = time.monotonic()
                bad = [row for row in verdicts(base, receipts) if row[0] != 200 or not row[1]["valid"]]
                wrong += len(bad)
                print(f"kernels={name}: {len(receipts) - len(bad)} of {len(receipts)} are valid, in {time.monotonic() - begin:.0f} s",
                      *[str(row)[:300] for row in bad[:5]], sep="\n  ", flush=True)
        if options.tampered and signed_by(receipts[0], b"t" * 32) is None:
            print("PyPI's cryptography is not installed: nothing was changed. `pip install cryptography` and run this again")
            return 1
        with twin(folder, LOCAL, "http.queue=64", model=model) as base:
            begin = time.monotonic()
            rows = json.loads(serving.Place(base).get("/v1/models"))["data"]
            vocabulary = next(row["meta"]["n_vocab"] for row in rows if row["status"] == "loaded")
            failed, stages = tamper(base, receipts, options.tampered, options.seed + 1, vocabulary)
            wrong += failed
            print(f"{options.tampered - failed} of {options.tampered} changed ones failed where they were changed, "
                  f"in {time.monotonic() - begin:.0f} s: {dict(stages)}", flush=True)
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
