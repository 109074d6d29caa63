#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Teacher-forced comparison of our logits, llama.cpp's, and llama.cpp's on the weights as F32.

usage: teacher_forced.py [--spread] MODEL.gguf GOLDENS.greedy.txt [FILE...]
(PyPI: gguf, numpy, llama-cpp-python 0.3.36; needs build/host/model_check; writes the F32 form of
MODEL and copies of it to a temporary folder)

The texts are the goldens' prompts with their greedy answers, and each FILE in pieces of 512 tokens.
Printed, as rows of Markdown tables: mean KL to the F32 reference (F32 cache too), how often the
first choice is the reference's, perplexity; then the distance from llama.cpp's usual way to
ours. --spread adds how far each engine is from itself: llama.cpp with other settings, and both on
a file that differs in the last bit of the numbers of one norm (width of the model; 1 part in
2^23).

Fails when ours is farther from F32 than llama.cpp (by more than three standard errors), the first
choices agree at fewer than 99 % of the positions where llama.cpp leads by 0.5, or the
perplexities differ by more than 0.5 %.
"""
import argparse
import os
import sys
import tempfile

import gguf
import numpy as np

from llama_logits import Llama
from our_logits import Ours, copy, dequantize, log_softmax

PIECE = 512
SURE = 0.5  # lead of llama.cpp's first choice
USUAL = "llama.cpp"


def goldens(path):
    texts, prompt = [], None
    for line in open(path, encoding="utf-8"):
        word, *rest = line.split()
        if word == "prompt":
            prompt = [int(n) for n in rest]
        if word == "greedy":
            texts.append(prompt + [int(n) for n in rest])
    return texts


def flip_last_bits(source, target):
    """The same file but for the last bit of each number of the first layer's norm."""
    def data(t):
        if t.name != "blk.0.attn_norm.weight":
            return t.data
        return (t.data.view(np.uint32) ^ 1).view(np.float32)
    copy(gguf.GGUFReader(source), target, data)


class Totals:
    """The results of each position: KL and agreement of pairs, loss of each engine."""

    def __init__(self, pairs):
        self.pairs = pairs
        self.kl = {pair: [] for pair in pairs}
        self.same = {pair: [] for pair in pairs}
        self.sure = []
        self.loss = {}

    def add(self, tokens, runs):
        order = np.partition(runs[USUAL], -2, axis=1)
        self.sure.append(order[:, -1] - order[:, -2] > SURE)
        for first in range(0, len(tokens), 64):
            part = slice(first, min(first + 64, len(tokens)))
            logs = {name: log_softmax(x[part]) for name, x in runs.items()}
            weights = {name: np.exp(logs[name]) for name in {pair[0] for pair in self.pairs}}
            first_choice = {name: x[part].argmax(axis=1) for name, x in runs.items()}
            for a, b in self.pairs:
                told = np.einsum("ij,ij->i", weights[a], logs[a])
                self.kl[a, b].append(told - np.einsum("ij,ij->i", weights[a], logs[b]))
                self.same[a, b].append(first_choice[a] == first_choice[b])
            for name, x in logs.items():
                told = tokens[part.start + 1:part.stop + 1]
                self.loss.setdefault(name, []).append(-x[np.arange(len(told)), told])

    def finish(self):
        self.sure = np.concatenate(self.sure)
        for table in (self.kl, self.same, self.loss):
            for key in table:
                table[key] = np.concatenate(table[key])

    def row(self, pair):
        kl, same = self.kl[pair], self.same[pair]
        error = kl.std() / np.sqrt(len(kl))
        print(f"| {pair[0]} | {pair[1]} | {kl.mean():.3e} ± {error:.0e} | {np.median(kl):.1e} | "
              f"{100 * same.mean():.2f} % | {100 * same[self.sure].mean():.2f} % |", flush=True)

    def perplexity(self, name):
        return np.exp(self.loss[name].mean())


def pieces(path, tokenize):
    tokens = tokenize(open(path, "rb").read())
    cut = [tokens[i:i + PIECE] for i in range(0, len(tokens), PIECE)]
    return [piece for piece in cut if len(piece) > PIECE // 4]


def engines(model, folder, spread):
    """Returns the engines by name, and the pairs of names to compare. Every engine is compared with F32 besides."""
    exact, flipped = os.path.join(folder, "f32.gguf"), os.path.join(folder, "flipped.gguf")
    dequantize(model, exact)
    made = {"F32": Llama(exact, exact=True), USUAL: Llama(model), "ours": Ours(model, folder)}
    beside = [(USUAL, "ours")]
    if spread:
        flip_last_bits(model, flipped)
        made.update({"llama.cpp, a token at a time": Llama(model, ubatch=1),
                     "llama.cpp, flash attention off": Llama(model, flash=False),
                     "llama.cpp, no repacking": Llama(model, repack=False),
                     "llama.cpp, q8 cache": Llama(model, q8=True),
                     "llama.cpp, last bits of a norm": Llama(flipped),
                     "ours, q8 cache": Ours(model, folder, MARROW_KV="q8"),
                     "ours, last bits of a norm": Ours(flipped, folder)})
        beside += [(USUAL, name) for name in made if name.startswith("llama.cpp, ")]
        beside += [("ours", name) for name in made if name.startswith("ours, ")]
        beside.append(("llama.cpp, a token at a time", "ours"))
    return made, beside


def report(totals, names, beside):
    count = len(totals.sure)
    print(f"{count} positions; at {totals.sure.sum()} llama.cpp leads by {SURE}\n")
    head = "| from | to | mean KL | median KL | top-1 | top-1 where llama.cpp is sure |"
    print(head + "\n|---|---|---|---|---|---|")
    for name in names:
        totals.row(("F32", name))
    for pair in beside:
        totals.row(pair)
    print("\n| engine | perplexity | to llama.cpp's |\n|---|---|---|")
    for name in ["F32"] + names:
        ratio = totals.perplexity(name) / totals.perplexity(USUAL)
        print(f"| {name} | {totals.perplexity(name):.4f} | {100 * (ratio - 1):+.2f} % |")


def failures(totals):
    theirs, ours = totals.kl["F32", USUAL], totals.kl["F32", "ours"]
    farther = ours - theirs
    if farther.mean() > 3 * farther.std() / np.sqrt(len(farther)):
        yield "ours is farther from F32 than llama.cpp"
    less = totals.same["F32", USUAL].astype(float) - totals.same["F32", "ours"]
    if less.mean() > 3 * less.std() / np.sqrt(len(less)):
        yield "ours agrees with F32 less often than llama.cpp"
    if totals.same[USUAL, "ours"][totals.sure].mean() < 0.99:
        yield "first choices differ where llama.cpp is sure"
    if abs(totals.perplexity("ours") / totals.perplexity(USUAL) - 1) > 0.005:
        yield "perplexities differ"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spread", action="store_true")
    parser.add_argument("model")
    parser.add_argument("goldens")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made, beside = engines(args.model, folder, args.spread)
        names = [name for name in made if name != "F32"]
        texts = goldens(args.goldens)
        for path in args.files:
            texts += pieces(path, made[USUAL].tokens)
        totals = Totals([("F32", name) for name in names] + beside)
        for tokens in texts:
            totals.add(tokens, {name: engine.logits(tokens) for name, engine in made.items()})
    totals.finish()
    print(f"{len(texts)} texts")
    report(totals, names, beside)
    wrong = list(failures(totals))
    print(*wrong, sep="\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
