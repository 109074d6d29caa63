#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes tests/goldens/smollm2-q4_1.chat.json: three turns answered greedily by llama.cpp.

Usage: chat_golden.py MODEL.gguf > GOLDEN. Needs llama-cpp-python from PyPI. Each turn has the whole
prompt's ids, the answer's ids, and for every step the gap between the two likeliest logits.
"""
import json
import sys

import numpy as np
from llama_cpp import Llama, llama_get_logits_ith

MAX_TOKENS = 16
QUESTIONS = ["Count from 1 to 10.", "What is the opposite of hot?", "Write the numbers from one to five."]
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def turn_of(llama: Llama, text: str) -> dict:
    prompt = llama.tokenize(text.encode(), add_bos=False, special=True)
    llama.reset()
    llama.eval(prompt)
    ids, gaps = [], []
    while len(ids) < MAX_TOKENS:
        logits = np.ctypeslib.as_array(llama_get_logits_ith(llama.ctx, -1), shape=(llama.n_vocab(),))
        second, first = np.argsort(logits)[-2:]
        ids.append(int(first))
        gaps.append(round(float(logits[first] - logits[second]), 3))
        if int(first) == llama.token_eos():
            break
        llama.eval([int(first)])
    answer = llama.detokenize([i for i in ids if i != llama.token_eos()]).decode()
    return {"prompt": prompt, "ids": ids, "gaps": gaps, "answer": answer}


def main() -> None:
    llama = Llama(sys.argv[1], n_ctx=1024, n_threads=1, verbose=False)
    text, turns = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n", []
    for question in QUESTIONS:
        text += f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        turn = turn_of(llama, text)
        turns.append({"question": question, **turn})
        text += turn["answer"] + "<|im_end|>\n"
    json.dump({"max_tokens": MAX_TOKENS, "turns": turns}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
