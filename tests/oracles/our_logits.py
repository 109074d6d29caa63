# SPDX-License-Identifier: GPL-2.0-or-later
"""Marrow as one of the engines that are compared: every token's logits of a text, and copies of model files with
other numbers (PyPI: gguf, numpy; needs build/host/model_check)."""
import os
import subprocess

import gguf
import numpy as np


def dequantize(source, target):
    reader = gguf.GGUFReader(source)
    copy(reader, target, lambda t: gguf.dequantize(t.data, t.tensor_type).astype(np.float32))


def copy(reader, target, data):
    writer = gguf.GGUFWriter(target, str(reader.fields["general.architecture"].contents()))
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        kind = field.types[0]
        sub = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), kind, sub)
    for tensor in reader.tensors:
        made = data(tensor)
        raw = None if made.dtype in (np.float32, np.float16) else tensor.tensor_type
        writer.add_tensor(tensor.name, made, raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Ours:
    def __init__(self, path, folder, program="build/host/model_check", **environment):
        self.program, self.path, self.out = program, path, os.path.join(folder, "logits.bin")
        threads = str(len(os.sched_getaffinity(0)))
        self.environment = {**os.environ, "MARROW_WORKERS": threads, **environment}

    def logits(self, tokens):
        subprocess.run([self.program, "logits", self.path, self.out,
                        *map(str, tokens)], check=True, env=self.environment)
        return np.fromfile(self.out, np.float32).reshape(len(tokens), -1)


def log_softmax(x):
    x = x.astype(np.float64)
    x -= x.max(axis=1, keepdims=True)
    x -= np.log(np.exp(x).sum(axis=1, keepdims=True))
    return x
