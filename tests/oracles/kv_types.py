#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How far each type of KV cache is from the f16 cache of the same engine, on the same weights.

usage: kv_types.py [--pieces N] [--length N] [--check NAME=PROGRAM:TYPE]... MODEL.gguf FILE...
(PyPI: gguf, numpy; needs build/host/model_check and build/tools/tokenize; writes the F32 form of
MODEL to a temporary folder)

The weights are F32, because activations are not rounded then and the cache is the only difference.
N pieces of each FILE are read. Printed after each piece, as rows of a Markdown table: mean KL from
f16, how often its first choice is kept, and the change of the perplexity. --check adds a row for
another build of model_check. Fails when a type with more bits is farther than one with fewer.
"""
import argparse
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np

from our_logits import Ours, dequantize, log_softmax

TYPES = ["q8", "q8q4", "q4"]


def tokenize(model, path):
    text = open(path, "rb").read()
    told = subprocess.run(["build/tools/tokenize", model], input=struct.pack("<I", len(text)) + text,
                          stdout=subprocess.PIPE, check=True).stdout
    return [int(n) for n in np.frombuffer(told, np.uint32)[1:]]


class Row:
    def __init__(self):
        self.kl, self.same, self.loss = [], [], []

    def add(self, reference, logs, tokens):
        self.kl.append(np.einsum("ij,ij->i", np.exp(reference), reference - logs))
        self.same.append(reference.argmax(axis=1) == logs.argmax(axis=1))
        self.loss.append(-logs[np.arange(len(tokens) - 1), tokens[1:]])

    def mean_kl(self):
        return np.concatenate(self.kl).mean()

    def tell(self, name, base):
        kl, same = np.concatenate(self.kl), np.concatenate(self.same)
        ratio = np.exp(np.concatenate(self.loss).mean() - np.concatenate(base.loss).mean())
        print(f"| {name} | {kl.mean():.2e} ± {kl.std() / np.sqrt(len(kl)):.0e} | {100 * same.mean():.2f} % | "
              f"{100 * (ratio - 1):+.2f} % |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pieces", type=int, default=4)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--check", action="append", default=[])
    parser.add_argument("model")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        exact = os.path.join(folder, "f32.gguf")
        dequantize(args.model, exact)
        made = {kv: Ours(exact, folder, MARROW_KV=kv) for kv in ["f16"] + TYPES}
        for check in args.check:
            name, _, rest = check.partition("=")
            program, _, kv = rest.partition(":")
            made[name] = Ours(exact, folder, program=program, MARROW_KV=kv)
        rows = {name: Row() for name in made}
        positions = 0
        for path in args.files:
            tokens = tokenize(args.model, path)
            for piece in [tokens[i * args.length:(i + 1) * args.length] for i in range(args.pieces)]:
                if len(piece) < 2:
                    break
                reference = log_softmax(made["f16"].logits(piece))
                for name, engine in made.items():
                    logs = reference if name == "f16" else log_softmax(engine.logits(piece))
                    rows[name].add(reference, logs, piece)
                positions += len(piece)
                print(f"\n{positions} positions\n| cache | mean KL | first choice kept | perplexity |\n|---|---|---|---|")
                for name in list(made)[1:]:
                    rows[name].tell(name, rows["f16"])
    order = [rows[kv].mean_kl() for kv in TYPES]
    sys.exit(0 if order == sorted(order) else 1)


if __name__ == "__main__":
    main()
