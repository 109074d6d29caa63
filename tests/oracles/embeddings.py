#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares our embeddings with llama.cpp's: the cosine of the two vectors of each text, for each pooling.

usage: embeddings.py MODEL.gguf      (PyPI: numpy, llama-cpp-python 0.3.36; needs
build/host/model_check). Fails below a cosine of 0.999.
"""
import os
import subprocess
import sys
import tempfile

import llama_cpp
import numpy as np

TEXTS = ("The cat sits on the mat.", "A kernel that talks: no operating system below it.",
         "def add(a, b):\n    return a + b", "Das Wetter ist heute schön, 20 °C.",
         "Once upon a time there was a little girl who loved to read books about far away "
         "countries, and every evening she asked her mother for one more story.")
POOLING = {"mean": llama_cpp.LLAMA_POOLING_TYPE_MEAN, "cls": llama_cpp.LLAMA_POOLING_TYPE_CLS,
           "last": llama_cpp.LLAMA_POOLING_TYPE_LAST}


def ours(model, tokens, pooling, folder):
    out = os.path.join(folder, "hidden.bin")
    subprocess.run(["build/host/model_check", "embed", model, out, *map(str, tokens)], check=True)
    rows = np.fromfile(out, np.float32).reshape(len(tokens), -1)
    return {"mean": rows.mean(axis=0), "cls": rows[0], "last": rows[-1]}[pooling]


def main():
    model, lowest = sys.argv[1], 1.0
    for pooling, kind in POOLING.items():
        llama = llama_cpp.Llama(model, embedding=True, pooling_type=kind, n_ctx=512,
                                verbose=False, n_threads=1)
        with tempfile.TemporaryDirectory() as folder:
            for text in TEXTS:
                tokens = llama.tokenize(text.encode())
                theirs = np.array(llama.embed(text), np.float64)
                mine = ours(model, tokens, pooling, folder).astype(np.float64)
                cosine = theirs @ mine / np.linalg.norm(theirs) / np.linalg.norm(mine)
                lowest = min(lowest, cosine)
                print(f"{pooling:4} {len(tokens):3} tokens: cosine {cosine:.6f}", flush=True)
    print(f"lowest cosine {lowest:.6f}")
    sys.exit(0 if lowest >= 0.999 else 1)


if __name__ == "__main__":
    main()
