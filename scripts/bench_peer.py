#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""llama.cpp's side of `make bench`: the same cases, in the same CSV as the console's `bench --csv`.

Needs llama-cpp-python from PyPI. The next token is fixed instead of sampled, which spares llama.cpp
the work. bench_peer.py MODEL --threads N --flash 0|1 --repack 0|1 --cases 512:1:1,16:64:1
--start prints one line of JSON instead: milliseconds from the model's path to the first token of a
prompt of 16, and kilobytes resident before and at most.
"""
import argparse
import ctypes
import os
import pathlib
import random
import re
import time

import llama_cpp as ll


def fill(batch, tokens, first, seq, last_logits):
    """Appends the tokens of one sequence from position `first` on, with logits for the last one only."""
    for i, token in enumerate(tokens):
        at = batch.n_tokens
        batch.token[at] = token
        batch.pos[at] = first + i
        batch.n_seq_id[at] = 1
        batch.seq_id[at][0] = seq
        batch.logits[at] = 1 if last_logits and i == len(tokens) - 1 else 0
        batch.n_tokens += 1


def decode(context, batch):
    if ll.llama_decode(context, batch) != 0:
        raise SystemExit("llama_decode failed")
    ll.llama_synchronize(context)


def context_of(model, args, tokens, sequences):
    params = ll.llama_context_default_params()
    params.n_ctx = tokens * sequences + 64
    params.n_batch = 2048
    params.n_ubatch = 512
    params.n_seq_max = sequences
    params.n_threads = params.n_threads_batch = args.threads
    params.flash_attn_type = (ll.LLAMA_FLASH_ATTN_TYPE_ENABLED if args.flash
                              else ll.LLAMA_FLASH_ATTN_TYPE_DISABLED)
    context = ll.llama_init_from_model(model, params)
    if not context:
        raise SystemExit("no context")
    return context


def measure(model, args, prompt, generate, sequences):
    vocabulary = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(model))
    dice = random.Random(7)
    context = context_of(model, args, prompt + generate, sequences)
    batch = ll.llama_batch_init(max(prompt, sequences, 512), 0, 1)
    start = time.perf_counter()
    for seq in range(sequences):
        batch.n_tokens = 0
        fill(batch, [dice.randrange(300, vocabulary) for _ in range(prompt)], 0, seq, True)
        decode(context, batch)
    prefill = time.perf_counter() - start
    gaps = []
    for step in range(generate - 1):
        begin = time.perf_counter()
        batch.n_tokens = 0
        for seq in range(sequences):
            fill(batch, [dice.randrange(300, vocabulary)], prompt + step, seq, True)
        decode(context, batch)
        gaps.append(time.perf_counter() - begin)
    ll.llama_batch_free(batch)
    ll.llama_free(context)
    gaps.sort()

    def quantile(q):
        return 1000 * gaps[min(len(gaps) - 1, int(q * len(gaps)))] if gaps else 0
    rate = sequences * len(gaps) / sum(gaps) if gaps else 0
    print(f"{prompt},{generate},{sequences},{prompt * sequences / prefill:.2f},{rate:.2f},"
          f"{quantile(.5):.2f},{quantile(.99):.2f},{quantile(1):.2f}", flush=True)


def resident(key):
    """Kilobytes of this process: VmRSS now, VmHWM at most."""
    return int(re.search(rf"^{key}:\s+(\d+)", pathlib.Path("/proc/self/status").read_text(), re.M)[1])


def load(args):
    params = ll.llama_model_default_params()
    params.use_extra_bufts = bool(args.repack)
    model = ll.llama_model_load_from_file(os.fsencode(args.model), params)
    if not model:
        raise SystemExit(f"llama.cpp cannot load {args.model}")
    return model


def measure_start(args):
    before, begin = resident("VmRSS"), time.perf_counter()
    model = load(args)
    context = context_of(model, args, 2048 - 64, 1)
    batch = ll.llama_batch_init(512, 0, 1)
    fill(batch, list(range(300, 316)), 0, 0, True)
    decode(context, batch)
    took = 1000 * (time.perf_counter() - begin)
    print(f'{{"first_token_ms": {took:.1f}, "before_kb": {before}, "peak_kb": {resident("VmHWM")}}}')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--flash", type=int, default=0)
    parser.add_argument("--repack", type=int, default=1)
    parser.add_argument("--cases", default="")
    parser.add_argument("--start", action="store_true")
    args = parser.parse_args()
    silent = ll.llama_log_callback(lambda level, text, data: None)
    ll.llama_log_set(silent, ctypes.c_void_p(0))
    ll.llama_backend_init()
    if args.start:
        return measure_start(args)
    model = load(args)
    print("prompt,generate,batch,prefill_tok_s,decode_tok_s,gap_p50_ms,gap_p99_ms,gap_max_ms")
    for case in args.cases.split(","):
        measure(model, args, *map(int, case.split(":")))


main()
