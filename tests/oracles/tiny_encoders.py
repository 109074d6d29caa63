#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes tiny random encoders and records the hidden states behind their last layer, computed in double precision.

usage: tiny_encoders.py      (PyPI: gguf, numpy)

Writes tests/goldens/encoders/NAME.golden in the form of tiny_models.py: the width takes the place of the
vocabulary, and the hidden states that of the logits. Prints the scores of heads for the same tokens as two texts and as one.
"""
import math
import os
import tempfile

import numpy as np

from tiny_models import FFN, HEAD, HEADS, LAYERS, TOKENS, VOCABULARY, WIDTH, Tiny, attention, floats, gated, linear, norm, plain, save

OUT = os.path.join(os.path.dirname(__file__), "..", "goldens", "encoders")
EPSILON, BASE = 1e-5, 1000.0


def encoder(arch, bias, **keys):
    t = Tiny(arch, block_count=LAYERS, context_length=256, embedding_length=WIDTH, feed_forward_length=FFN,
             attention__head_count=HEADS, attention__layer_norm_epsilon=EPSILON, attention__causal=False, pooling_type=1, **keys)
    t.width, t.ffn, t.head = WIDTH, FFN, HEAD
    t.add("token_embd.weight", VOCABULARY, WIDTH)
    t.add("token_types.weight", 2, WIDTH)
    t.add("token_embd_norm.weight", WIDTH)
    t.add("token_embd_norm.bias", WIDTH)
    for i in range(LAYERS):
        attention(t, i, bias=bias, out_bias=bias, fused=not bias, kv=HEADS)
        norm(t, i, "attn_output_norm", WIDTH, True)
        (plain if bias else gated)(t, i)
        norm(t, i, "layer_output_norm", WIDTH, True)
    return t


def bert():
    t = encoder("bert", True)
    t.add("position_embd.weight", 256, WIDTH)
    t.add("cls.weight", WIDTH, WIDTH)
    t.add("cls.bias", WIDTH)
    t.add("cls.output.weight", 1, WIDTH)
    t.add("cls.output.bias", 1)
    return t


def nomic():
    return encoder("nomic-bert", False, rope__freq_base=BASE)


def jina(heads, code):
    """The model for code norms queries, keys and the sum of attention and its input; gate and up are one matrix."""
    t = Tiny("jina-bert-v2", block_count=LAYERS, context_length=256, embedding_length=WIDTH, feed_forward_length=FFN,
             attention__head_count=heads, attention__key_length=HEAD, attention__value_length=HEAD,
             attention__layer_norm_epsilon=EPSILON, attention__causal=False, pooling_type=1)
    t.heads = heads
    t.add("token_embd.weight", VOCABULARY, WIDTH)
    t.add("token_types.weight", 2, WIDTH)
    t.add("token_embd_norm.weight", WIDTH)
    t.add("token_embd_norm.bias", WIDTH)
    if not code:
        t.add("cls.weight", 1, WIDTH)
        t.add("cls.bias", 1)
    for i in range(LAYERS):
        for name in "qkv":
            linear(t, i, "attn_" + name, heads * HEAD, WIDTH, True)
        for name in ("attn_q_norm", "attn_k_norm") if code else ():
            norm(t, i, name, heads * HEAD, True)
        linear(t, i, "attn_output", WIDTH, heads * HEAD, True)
        norm(t, i, "attn_output_norm", WIDTH, True)
        if code:
            norm(t, i, "attn_norm_2", WIDTH, True)
        else:
            linear(t, i, "ffn_gate", FFN, WIDTH)
        linear(t, i, "ffn_up", 2 * FFN if code else FFN, WIDTH)
        linear(t, i, "ffn_down", WIDTH, FFN, True)
        norm(t, i, "layer_output_norm", WIDTH, True)
    return t


def slopes(heads):
    """ALiBi's paper: a geometric series for a power of two, else the rest is every second one of the next power."""
    def series(count):
        return [2 ** (-8 * (i + 1) / count) for i in range(count)]
    most = 1 << (heads.bit_length() - 1)
    return np.array(series(most) + series(2 * most)[::2][:heads - most])


def gelu(x):
    """The form with tanh, as engines compute it."""
    return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))) / 2


class Reference:
    def __init__(self, tiny):
        self.w = {name: floats(name, shape).astype(np.float64) for name, shape, _ in tiny.tensors}
        self.jina, self.heads = tiny.arch == "jina-bert-v2", getattr(tiny, "heads", HEADS)

    def linear(self, name, x):
        return x @ self.w[name + ".weight"].T + self.w.get(name + ".bias", 0)

    def norm(self, name, x):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x ** 2).mean(-1, keepdims=True) + EPSILON) * self.w[name + ".weight"] + self.w[name + ".bias"]

    def turned(self, x):
        """RoPE on halves of each head; x: (heads, tokens, width of a head)."""
        half = HEAD // 2
        angles = np.arange(x.shape[1])[:, None] * BASE ** (-np.arange(half) / half)
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * np.cos(angles) - b * np.sin(angles), a * np.sin(angles) + b * np.cos(angles)], -1)

    def hidden(self, ids, segments):
        w, n = self.w, len(ids)
        x = w["token_embd.weight"][ids] + w["token_types.weight"][segments]
        if "position_embd.weight" in w:
            x = x + w["position_embd.weight"][:n]
        x = self.norm("token_embd_norm", x)
        for i in range(LAYERS):
            p = f"blk.{i}."
            if p + "attn_qkv.weight" in w:
                q, k, v = np.split(self.linear(p + "attn_qkv", x), 3, -1)
            else:
                q, k, v = (self.linear(p + "attn_" + name, x) for name in "qkv")
            if p + "attn_q_norm.weight" in w:
                q, k = self.norm(p + "attn_q_norm", q), self.norm(p + "attn_k_norm", k)
            q, k, v = (m.reshape(n, self.heads, HEAD).transpose(1, 0, 2) for m in (q, k, v))
            if "position_embd.weight" not in w and not self.jina:
                q, k = self.turned(q), self.turned(k)
            scores = q @ k.transpose(0, 2, 1) / math.sqrt(HEAD)
            if self.jina:
                places = np.arange(n)
                scores = scores - slopes(self.heads)[:, None, None] * np.abs(places[:, None] - places)
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            mixed = (shares / shares.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(n, -1)
            before, x = x, self.norm(p + "attn_output_norm", x + self.linear(p + "attn_output", mixed))
            if p + "attn_norm_2.weight" in w:
                x = self.norm(p + "attn_norm_2", before + x)
            up = self.linear(p + "ffn_up", x)
            if self.jina:
                gate, up = np.split(up, 2, -1) if up.shape[-1] > FFN else (self.linear(p + "ffn_gate", x), up)
                up = gelu(gate) * up
            elif p + "ffn_gate.weight" in w:
                gate = self.linear(p + "ffn_gate", x)
                up = up * gate / (1 + np.exp(-gate))
            else:
                up = gelu(up)
            x = self.norm(p + "layer_output_norm", x + self.linear(p + "ffn_down", up))
        return x

    def score(self, first):
        inner = self.linear("cls", first)
        return self.linear("cls.output", np.tanh(inner)) if "cls.output.weight" in self.w else inner


def main():
    os.makedirs(OUT, exist_ok=True)
    ids = [(7 * i + 3) % VOCABULARY for i in range(TOKENS)]
    one, two = [0] * TOKENS, [0] * (TOKENS // 2) + [1] * (TOKENS // 2)
    for name, tiny in (("bert", bert()), ("nomic-bert", nomic()), ("jina-bert-v2", jina(4, False)),
                       ("jina-bert-v2-code", jina(6, True))):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "tiny.gguf")
            tiny.write(path)
            reference = Reference(tiny)
            save(os.path.join(OUT, name + ".golden"), path, ids, [reference.hidden(ids, one)])
        if "cls.weight" in reference.w:
            for kinds in (two, one):
                print(f"{name}: score {reference.score(reference.hidden(ids, kinds)[0])[0]:.6f}")


if __name__ == "__main__":
    main()
