#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Teacher-forced comparison of our logits, llama.cpp's, and llama.cpp's on the weights as F32.

usage: teacher_forced.py MODEL.gguf GOLDENS.greedy.txt [TEXTS]     (PyPI: gguf, numpy,
llama-cpp-python 0.3.36; needs build/host/model_check; writes MODEL's F32 form to a temporary folder)

The texts are the goldens' prompts with their greedy answers. Printed for ours and for llama.cpp:
mean KL to the F32 reference, top-1 agreement with it, perplexity of the text; and for ours against
llama.cpp: KL and top-1 where llama.cpp's lead is above 0.5.
"""
import os
import subprocess
import sys
import tempfile

import gguf
import llama_cpp
import numpy as np


def goldens(path):
    texts, prompt = [], None
    for line in open(path, encoding="utf-8"):
        word, *rest = line.split()
        if word == "prompt":
            prompt = [int(n) for n in rest]
        if word == "greedy":
            texts.append(prompt + [int(n) for n in rest])
    return texts


def dequantize(source, target):
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, str(reader.fields["general.architecture"].contents()))
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        kind = field.types[0]
        sub = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), kind, sub)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type)
                          .astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama_logits(path, texts):
    params = llama_cpp.llama_model_default_params()
    model = llama_cpp.llama_model_load_from_file(path.encode(), params)
    count = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    options = llama_cpp.llama_context_default_params()
    options.n_ctx, options.n_batch, options.n_ubatch = 1024, 512, 512
    options.n_threads = options.n_threads_batch = 1
    for tokens in texts:
        ctx = llama_cpp.llama_init_from_model(model, options)
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, i, 1
            batch.seq_id[i][0], batch.logits[i] = 0, 1
        if llama_cpp.llama_decode(ctx, batch) != 0:
            raise RuntimeError("llama.cpp does not decode")
        yield np.stack([np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(ctx, i), (count,))
                        .copy() for i in range(len(tokens))])
        llama_cpp.llama_batch_free(batch)
        llama_cpp.llama_free(ctx)
    llama_cpp.llama_model_free(model)


def our_logits(path, texts, folder):
    for tokens in texts:
        out = os.path.join(folder, "logits.bin")
        subprocess.run(["build/host/model_check", "logits", path, out, *map(str, tokens)], check=True)
        yield np.fromfile(out, np.float32).reshape(len(tokens), -1)


def log_softmax(x):
    x = x.astype(np.float64)
    x -= x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def main():
    model, texts = sys.argv[1], goldens(sys.argv[2])
    texts = texts[:int(sys.argv[3])] if len(sys.argv) > 3 else texts
    silent = llama_cpp.llama_log_callback(lambda level, text, _: None)
    llama_cpp.llama_log_set(silent, None)
    llama_cpp.llama_backend_init()
    with tempfile.TemporaryDirectory() as folder:
        reference = os.path.join(folder, "f32.gguf")
        dequantize(model, reference)
        runs = {"F32": list(llama_logits(reference, texts)),
                "llama.cpp": list(llama_logits(model, texts)),
                "ours": list(our_logits(model, texts, folder))}
    logs = {name: [log_softmax(x) for x in run] for name, run in runs.items()}

    def kl(a, b):
        return np.mean(np.concatenate([(np.exp(p) * (p - q)).sum(axis=1)
                                       for p, q in zip(logs[a], logs[b])]))

    def top(a, b, lead=-1.0):
        same = count = 0
        for p, q in zip(runs[a], runs[b]):
            order = np.sort(p, axis=1)
            sure = order[:, -1] - order[:, -2] > lead
            same += np.sum((p.argmax(axis=1) == q.argmax(axis=1))[sure])
            count += np.sum(sure)
        return f"{same}/{count} = {100 * same / count:.2f} %"

    def perplexity(a):
        losses = [-p[i, t[i + 1]] for p, t in zip(logs[a], texts) for i in range(len(t) - 1)]
        return np.exp(np.mean(losses))

    print(f"{len(texts)} texts, {sum(map(len, texts))} tokens")
    for name in ("llama.cpp", "ours"):
        print(f"{name:10} KL to F32 {kl('F32', name):.3e}, top-1 as F32 {top('F32', name)}, "
              f"perplexity {perplexity(name):.4f} (F32 {perplexity('F32'):.4f})")
    print(f"ours to llama.cpp: KL {kl('llama.cpp', 'ours'):.3e}, "
          f"top-1 where it leads by 0.5: {top('llama.cpp', 'ours', 0.5)}")


if __name__ == "__main__":
    main()
