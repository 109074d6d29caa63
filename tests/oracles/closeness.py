#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures how near our logits and llama.cpp's are to those of the F32 weights, for every quantization and family.

usage: closeness.py quants|families [--seeds N] [--tokens N] [NAME...]
(PyPI: gguf, numpy, llama-cpp-python 0.3.36; needs build/host/model_check)

quants: random llama models (gaussian weights, width 256, 4 layers, vocabulary 256), quantized by
llama.cpp itself, teacher-forced on random tokens. The reference is llama.cpp on the dequantized
weights with an F32 cache. A row: mean KL of the reference to llama.cpp's logits and to ours, the
difference (ours - llama.cpp) with its standard error over all positions, and top-1 agreement.

families: the models of tiny_models.py (F32 weights): mean KL and top-1 of ours to llama.cpp's.
Prints the rows of a Markdown table; fails when ours is significantly farther (more than three
standard errors, and more than 2 %), or a family's KL is above 1e-5.
"""
import argparse
import ctypes
import os
import subprocess
import sys
import tempfile

import gguf
import llama_cpp
import numpy as np

import teacher_forced
import tiny_models
from llama_logits import Llama

WIDTH, FFN, LAYERS, HEADS, KV_HEADS, VOCABULARY = 256, 512, 4, 4, 2, 256
FTYPES = {"F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K": 12,
          "Q4_K": 15, "Q5_K": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30, "BF16": 32,
          "TQ1_0": 36, "TQ2_0": 37}
KINDS = ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
         "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4", "TQ1_0", "TQ2_0"]


def write_random(path, seed, kind=None):
    """A llama model with gaussian weights; with `kind` its matrices are packed by gguf-py."""
    random = np.random.default_rng(seed)
    w = gguf.GGUFWriter(path, "llama")
    for key, value in {"block_count": LAYERS, "context_length": 2048, "embedding_length": WIDTH,
                       "feed_forward_length": FFN, "attention.head_count": HEADS,
                       "attention.head_count_kv": KV_HEADS, "vocab_size": VOCABULARY,
                       "rope.dimension_count": WIDTH // HEADS}.items():
        w.add_uint32("llama." + key, value)
    w.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    w.add_string("tokenizer.ggml.model", "none")

    def add(name, rows, columns, scale):
        values = (random.standard_normal((rows, columns)) * scale).astype(np.float32)
        if kind is None:
            w.add_tensor(name, values)
        else:
            w.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)

    def add_norm(name):
        w.add_tensor(name, (1 + random.standard_normal(WIDTH) / 10).astype(np.float32))

    kv, unit = WIDTH // HEADS * KV_HEADS, WIDTH ** -0.5
    add("token_embd.weight", VOCABULARY, WIDTH, 1)
    add("output.weight", VOCABULARY, WIDTH, 2 * unit)
    add_norm("output_norm.weight")
    for i in range(LAYERS):
        add_norm(f"blk.{i}.attn_norm.weight")
        add_norm(f"blk.{i}.ffn_norm.weight")
        for name, rows, columns, scale in (
                ("attn_q", WIDTH, WIDTH, 1.5 * unit), ("attn_k", kv, WIDTH, 1.5 * unit),
                ("attn_v", kv, WIDTH, unit), ("attn_output", WIDTH, WIDTH, unit),
                ("ffn_gate", FFN, WIDTH, unit), ("ffn_up", FFN, WIDTH, unit),
                ("ffn_down", WIDTH, FFN, 2 * FFN ** -0.5)):
            add(f"blk.{i}.{name}.weight", rows, columns, scale)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def make_quantized(kind, seed, folder):
    path = os.path.join(folder, "q.gguf")
    if kind == "MXFP4":  # llama.cpp makes it for experts only
        write_random(path, seed, gguf.GGMLQuantizationType.MXFP4)
        return path
    plain = os.path.join(folder, "plain.gguf")
    write_random(plain, seed)
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.pure, params.nthread = FTYPES[kind], True, 1
    if llama_cpp.llama_model_quantize(plain.encode(), path.encode(), ctypes.byref(params)) != 0:
        raise RuntimeError("llama.cpp does not quantize")
    return path


def llama_logits(path, tokens, exact_cache=False):
    model = Llama(path, context=2048, threads=1, exact=exact_cache)
    rows = model.logits(tokens)
    model.close()
    return rows


def our_logits(path, tokens, folder):
    out = os.path.join(folder, "logits.bin")
    subprocess.run(["build/host/model_check", "logits", path, out, *map(str, tokens)], check=True,
                   env={**os.environ, "MARROW_CONTEXT": "256" if len(tokens) <= 256 else "2048"})
    return np.fromfile(out, np.float32).reshape(len(tokens), -1)


def kl(p, q):
    p, q = teacher_forced.log_softmax(p), teacher_forced.log_softmax(q)
    return (np.exp(p) * (p - q)).sum(axis=1)


def top(p, q):
    return 100 * np.mean(p.argmax(axis=1) == q.argmax(axis=1))


def compare_quant(kind, seeds, count, folder):
    theirs, ours, tops = [], [], []
    for seed in range(seeds):
        tokens = [int(t) for t in np.random.default_rng(1000 + seed).integers(0, VOCABULARY, count)]
        path = make_quantized(kind, seed, folder)
        exact = os.path.join(folder, "exact.gguf")
        teacher_forced.dequantize(path, exact)
        reference = llama_logits(exact, tokens, exact_cache=True)
        a, b = llama_logits(path, tokens), our_logits(path, tokens, folder)
        theirs.append(kl(reference, a))
        ours.append(kl(reference, b))
        tops.append((top(reference, a), top(reference, b)))
    a, b = np.concatenate(theirs), np.concatenate(ours)
    difference, error = np.mean(b - a), np.std(b - a) / np.sqrt(len(a))
    tops = np.mean(tops, axis=0)
    farther = difference > 3 * error and difference > 0.02 * a.mean()
    print(f"| {kind} | {a.mean():.3e} | {b.mean():.3e} | {100 * difference / a.mean():+.1f} % "
          f"± {100 * error / a.mean():.1f} % | {tops[0]:.2f} % | {tops[1]:.2f} % |"
          + (" farther" if farther else ""), flush=True)
    return not farther


def compare_family(name, count, folder):
    tiny = tiny_models.MODELS[name]()
    path = os.path.join(folder, name + ".gguf")
    oracle = os.path.join(folder, name + ".oracle.gguf")
    tiny.write(path)
    tiny.oracle.write(oracle)
    tokens = [int(b) % tiny_models.VOCABULARY for b in tiny_models.stream("closeness", count)]
    a = tiny.computed(tokens) if tiny.computed else llama_logits(oracle, tokens)
    b = our_logits(path, tokens, folder)
    mean = kl(a, b).mean()
    print(f"| {name} | {mean:.2e} | {top(a, b):.2f} % | {np.abs(a - b).max():.1e} |", flush=True)
    return mean <= 1e-5


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["quants", "families"])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    right = True
    with tempfile.TemporaryDirectory() as folder:
        if args.what == "quants":
            for kind in args.names or KINDS:
                right &= compare_quant(kind, args.seeds, args.tokens, folder)
        else:
            for name in args.names or [n for n in tiny_models.MODELS if n[:6] != "quant-"]:
                right &= compare_family(name, min(args.tokens, 200), folder)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
