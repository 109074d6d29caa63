# SPDX-License-Identifier: GPL-2.0-or-later
"""BitNet b1.58 in numpy, for the form that llama.cpp lacks: a squared relu in the net (arXiv 2504.12285).

`python bitnet_reference.py` proves it: with silu it must give llama.cpp's logits of the model "bitnet".
"""
import numpy as np

MATRICES = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]


def silu(x):
    return x / (1 + np.exp(-x))


def relu_squared(x):
    return np.maximum(x, 0) ** 2


def turned(x, base=10000.0):
    """RoPE on (tokens, heads, width): value i with value i + width / 2."""
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[0])[:, None, None] * base ** (-np.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)], axis=-1)


def attention(q, k, v):
    """Causal, (tokens, heads, width); each key head serves q heads / k heads."""
    tokens, heads, width = q.shape
    k, v = (np.repeat(x, heads // x.shape[1], axis=1) for x in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(width)
    scores[:, np.triu(np.ones((tokens, tokens), bool), 1)] = -np.inf
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.einsum("hqk,khd->qhd", weights, v).reshape(tokens, -1)


def logits(tiny, tokens, floats, activation=relu_squared):
    shapes = {name: shape for name, shape, _ in tiny.tensors}
    keys = tiny.keys
    heads, kv_heads = keys["attention__head_count"], keys["attention__head_count_kv"]

    def tensor(name):
        return floats(name, shapes[name]).astype(np.float64)

    def product(x, name):
        scale = tensor(name + ".scale")[0] if name + ".scale" in shapes else 1
        return x @ tensor(name + ".weight").T * scale

    def norm(x, name):
        mean = np.mean(x * x, axis=-1, keepdims=True)
        return x / np.sqrt(mean + keys["attention__layer_norm_rms_epsilon"]) * tensor(name + ".weight")

    embedding = tensor("token_embd.weight")
    x = embedding[tokens]
    for i in range(keys["block_count"]):
        at = f"blk.{i}."
        y = norm(x, at + "attn_norm")
        q, k, v = (product(y, at + name).reshape(len(tokens), count, -1)
                   for name, count in (("attn_q", heads), ("attn_k", kv_heads), ("attn_v", kv_heads)))
        mixed = attention(turned(q), turned(k), v)
        x = x + product(norm(mixed, at + "attn_sub_norm"), at + "attn_output")
        y = norm(x, at + "ffn_norm")
        inner = activation(product(y, at + "ffn_gate")) * product(y, at + "ffn_up")
        x = x + product(norm(inner, at + "ffn_sub_norm"), at + "ffn_down")
    return (norm(x, "output_norm") @ embedding.T).astype(np.float32)


def main():
    import os
    import sys
    import tempfile

    import tiny_models
    from llama_logits import Llama
    tiny = tiny_models.MODELS["bitnet"]()
    tokens = [int(b) % tiny_models.VOCABULARY for b in tiny_models.stream("tokens", tiny_models.TOKENS)]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bitnet.gguf")
        tiny.write(path)
        model = Llama(path, context=256, threads=1, exact=True)
        theirs = model.logits(tokens)
    ours = logits(tiny, tokens, tiny_models.floats, silu)
    far = np.abs(ours - theirs).max() / np.abs(theirs).max()
    print(f"largest difference from llama.cpp: {far:.1e} of the largest logit")
    sys.exit(0 if far < 1e-4 else 1)


if __name__ == "__main__":
    main()
