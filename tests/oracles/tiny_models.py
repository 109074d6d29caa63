#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes tiny random models of every family and quantization, and records llama.cpp's logits for them.

usage: tiny_models.py [--keep FOLDER] [NAME...]      (PyPI: gguf, numpy, llama-cpp-python 0.3.36)

Writes tests/goldens/models/NAME.golden, little-endian:
  u32 header bytes, header (a GGUF file up to its tensor data), zeros to a multiple of 4
  u32 tokens, u32 vocabulary, u32 tables, u32[tokens] ids
  tables times: f32 step, i16[tokens][vocabulary] logits in steps
Table 0 is llama.cpp on the model, table 1 llama.cpp on the same weights as F32 (quantized models).

Where llama.cpp leaves out what a family has, it reads the same weights under another architecture
that computes the same (`Tiny.oracle`), or numpy computes the logits (`Tiny.computed`).

The tensor data are not stored: they follow from each tensor's name (see `stream`), and
tests/hosted/test_tiny_model.cpp makes the same bytes.
"""
import argparse
import os
import struct
import tempfile

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

import bitnet_reference

TOKENS, VOCABULARY = 16, 64
OUT = os.path.join(os.path.dirname(__file__), "..", "goldens", "models")

# Block bytes, and the fields that make random blocks sane: (offset, f16 value) or (offset, byte).
BLOCKS = {
    "Q4_0": (18, [(0, 0.02)]),
    "Q4_1": (20, [(0, 0.02), (2, -0.15)]),
    "Q5_0": (22, [(0, 0.01)]),
    "Q5_1": (24, [(0, 0.01), (2, -0.15)]),
    "Q8_0": (34, [(0, 0.00125)]),
    "Q2_K": (84, [(80, 0.01), (82, 0.0125)]),
    "Q3_K": (110, [(108, 0.002)]),
    "Q4_K": (144, [(0, 0.0005), (2, 0.004)]),
    "Q5_K": (176, [(0, 0.00025), (2, 0.004)]),
    "Q6_K": (210, [(208, 0.00007)]),
    "IQ4_NL": (18, [(0, 0.00125)]),
    "IQ4_XS": (136, [(0, 0.00007)]),
    "MXFP4": (17, [(0, 122)]),
    "TQ1_0": (54, [(52, 0.08)]),
    "TQ2_0": (66, [(64, 0.08)]),
}


def stream(name, count):
    """count bytes: splitmix64 of the FNV-1a hash of the name plus a counter."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    i = np.arange(1, (count + 7) // 8 + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + i * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return z.view(np.uint8)[:count]


def floats(name, shape):
    """Weights that F16 and BF16 hold exactly (but for norms in BF16, which stay F32)."""
    b = stream(name, int(np.prod(shape))).view(np.int8).astype(np.float32).reshape(shape)
    if name.endswith("norm.weight") or name.endswith("norm_2.weight"):
        return 1 + b / 512
    if name.endswith("ssm_a"):
        return -(np.abs(b) + 1) / 32
    if name.startswith("rope_f"):
        return 1 + np.abs(b) / 64
    if "attn_sinks" in name:  # none: no part of any softmax (only for an oracle)
        return np.full(shape, -1e30, np.float32)
    if name.endswith(".bias"):
        return b / 512
    if name.endswith(".scale"):
        return 1 + np.abs(b) / 256
    if name.startswith("token_embd") or name.startswith("position_embd"):  # small: the layers' share must show
        return b / 256
    if "ffn_gate_inp" in name:  # no near ties: rounding must not change the choice of experts
        return b / 64
    return b / 512


def blocks(name, shape, kind):
    size, fields = BLOCKS[kind]
    weights = gguf.GGML_QUANT_SIZES[T[kind]][0]
    count = int(np.prod(shape)) // weights
    raw = stream(name, count * size).reshape(count, size).copy()
    if kind == "TQ2_0":  # no quantizer writes 3; as 1 it leaves the mean at zero
        raw ^= (raw & raw >> 1 & 0x55) << 1
    for offset, value in fields:
        if kind == "MXFP4":
            raw[:, offset] = value
        else:
            raw[:, offset:offset + 2] = np.frombuffer(np.float16(value).tobytes(), np.uint8)
    return raw.reshape(*shape[:-1], shape[-1] // weights * size)


class Tiny:
    """One model: architecture, keys, tensors (numpy shapes: rows first)."""

    def __init__(self, arch, kind="F32", **keys):
        self.arch, self.kind, self.keys, self.tensors = arch, kind, keys, []
        self.oracle = self  # what llama.cpp reads
        self.computed = None  # a function of the tokens instead of llama.cpp, where that lacks the family

    def add(self, name, *shape, kind=None):
        self.tensors.append((name, shape, kind or ("F32" if len(shape) == 1 else self.kind)))

    def write(self, path, dequantized=False):
        w = gguf.GGUFWriter(path, self.arch)
        for key, value in self.keys.items():
            key = self.arch + "." + key.replace("__", ".")
            if isinstance(value, bool):
                w.add_bool(key, value)
            elif isinstance(value, int):
                w.add_uint32(key, value)
            elif isinstance(value, float):
                w.add_float32(key, value)
            elif isinstance(value, list):
                w.add_array(key, value)
            else:
                w.add_string(key, value)
        w.add_uint32(self.arch + ".vocab_size", VOCABULARY)
        w.add_string("tokenizer.ggml.model", "none")
        for name, shape, kind in self.tensors:
            if kind in BLOCKS:
                raw = blocks(name, shape, kind)
                if dequantized:
                    w.add_tensor(name, gguf.dequantize(raw, T[kind]).astype(np.float32))
                else:
                    w.add_tensor(name, raw, raw_dtype=T[kind])
                continue
            values = floats(name, shape).astype(np.float32)
            if kind == "F16" and not dequantized:
                w.add_tensor(name, values.astype(np.float16))
            elif kind == "BF16" and not dequantized:
                w.add_tensor(name, gguf.quantize(values, T.BF16), raw_dtype=T.BF16)
            else:
                w.add_tensor(name, values)
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()


WIDTH, FFN, LAYERS, HEADS, KV_HEADS, HEAD = 64, 96, 3, 4, 2, 16


def common(arch, norm="rms", kind="F32", width=WIDTH, ffn=FFN, layers=LAYERS, head=HEAD, **more):
    eps = "attention__layer_norm_rms_epsilon" if norm == "rms" else "attention__layer_norm_epsilon"
    keys = dict(block_count=layers, context_length=256, embedding_length=width,
                feed_forward_length=ffn, attention__head_count=HEADS,
                attention__head_count_kv=KV_HEADS, rope__dimension_count=head)
    keys[eps] = 1e-5
    keys.update(more)
    tiny = Tiny(arch, kind, **keys)
    tiny.width, tiny.ffn, tiny.head = width, ffn, head
    tiny.add("token_embd.weight", VOCABULARY, width)
    tiny.add("output_norm.weight", width)
    if norm == "layer":
        tiny.add("output_norm.bias", width)
    return tiny


def linear(t, i, name, rows, columns, bias=False):
    t.add(f"blk.{i}.{name}.weight", rows, columns)
    if bias:
        t.add(f"blk.{i}.{name}.bias", rows)


def norm(t, i, name, size, bias=False):
    t.add(f"blk.{i}.{name}.weight", size)
    if bias:
        t.add(f"blk.{i}.{name}.bias", size)


def attention(t, i, bias=False, out_bias=False, fused=False, kv=KV_HEADS, qk_norm=0):
    q, k = HEADS * t.head, kv * t.head
    if fused:
        linear(t, i, "attn_qkv", q + 2 * k, t.width, bias)
    else:
        linear(t, i, "attn_q", q, t.width, bias)
        linear(t, i, "attn_k", k, t.width, bias)
        linear(t, i, "attn_v", k, t.width, bias)
    if qk_norm:
        norm(t, i, "attn_q_norm", t.head if qk_norm == 1 else q)
        norm(t, i, "attn_k_norm", t.head if qk_norm == 1 else k)
    linear(t, i, "attn_output", t.width, q, out_bias)


def gated(t, i, ffn=None):
    ffn = ffn or t.ffn
    linear(t, i, "ffn_gate", ffn, t.width)
    linear(t, i, "ffn_up", ffn, t.width)
    linear(t, i, "ffn_down", t.width, ffn)


def plain(t, i, bias=True):
    linear(t, i, "ffn_up", t.ffn, t.width, bias)
    linear(t, i, "ffn_down", t.width, t.ffn, bias)


def experts(t, i, count=6, ffn=32):
    t.add(f"blk.{i}.ffn_gate_inp.weight", count, t.width, kind="F32")
    t.add(f"blk.{i}.ffn_gate_exps.weight", count, ffn, t.width)
    t.add(f"blk.{i}.ffn_up_exps.weight", count, ffn, t.width)
    t.add(f"blk.{i}.ffn_down_exps.weight", count, t.width, ffn)


def llama_like(arch, kind="F32", bias=False, qk_norm=0, moe=False, rope_freqs=False, output=True,
               pre=True, post=False, shared=0, kv=KV_HEADS, width=WIDTH, ffn=FFN, layers=LAYERS, head=HEAD,
               **keys):
    t = common(arch, kind=kind, width=width, ffn=ffn, layers=layers, head=head, **keys)
    if output:
        t.add("output.weight", VOCABULARY, width)
    if rope_freqs:
        t.add("rope_freqs.weight", head // 2)
    for i in range(layers):
        if pre:
            norm(t, i, "attn_norm", width)
            norm(t, i, "ffn_norm", width)
        if post:
            norm(t, i, "post_attention_norm", width)
            norm(t, i, "post_ffw_norm", width)
        attention(t, i, bias=bias, qk_norm=qk_norm, kv=kv)
        if moe:
            experts(t, i, ffn=32 if moe is True else moe)
        else:
            gated(t, i)
        if shared:
            t.add(f"blk.{i}.ffn_gate_inp_shexp.weight", width, kind="F32")
            linear(t, i, "ffn_gate_shexp", shared, width)
            linear(t, i, "ffn_up_shexp", shared, width)
            linear(t, i, "ffn_down_shexp", width, shared)
    return t


def mistral():
    """A sliding window in every layer, which llama.cpp's "llama" does not support and its "granite_swa" does."""
    t = llama_like("llama", attention__sliding_window=6)
    t.oracle = llama_like("granite_swa", attention__sliding_window=6, logit_scale=1.0,
                          attention__sliding_window_pattern=[True] * LAYERS)
    for i in range(LAYERS):
        t.oracle.add(f"blk.{i}.attn_sinks.weight", HEADS)
    return t


MOE = dict(expert_count=6, expert_used_count=2, expert_feed_forward_length=32)


def gpt_like(arch, position=False, fused=True, kv=HEADS, bias=True, output=False, rope=HEAD,
             second_norm=True, **keys):
    t = common(arch, norm="layer", attention__head_count_kv=kv, rope__dimension_count=rope, **keys)
    if position:
        t.add("position_embd.weight", 256, WIDTH)
    if output:
        t.add("output.weight", VOCABULARY, WIDTH)
        if arch == "phi2":
            t.add("output.bias", VOCABULARY)
    for i in range(LAYERS):
        norm(t, i, "attn_norm", WIDTH, True)
        if second_norm:
            norm(t, i, "ffn_norm", WIDTH, True)
        attention(t, i, bias=bias, out_bias=bias, fused=fused, kv=kv)
        plain(t, i, bias)
    return t


def layer_normed(arch, **keys):
    """Llama's network with layer norms that have biases."""
    t = common(arch, norm="layer", **keys)
    t.add("output.weight", VOCABULARY, WIDTH)
    for i in range(LAYERS):
        norm(t, i, "attn_norm", WIDTH, True)
        norm(t, i, "ffn_norm", WIDTH, True)
        attention(t, i, bias=arch == "stablelm")
        gated(t, i)
    return t


def glm(arch, both, **keys):
    """Gate and up in one matrix; RoPE rotates half of each head."""
    t = common(arch, rope__dimension_count=HEAD // 2, **keys)
    t.add("output.weight", VOCABULARY, WIDTH)
    for i in range(LAYERS):
        norm(t, i, "attn_norm", WIDTH)
        norm(t, i, "ffn_norm", WIDTH)
        if both:
            norm(t, i, "post_attention_norm", WIDTH)
            norm(t, i, "post_ffw_norm", WIDTH)
        attention(t, i, bias=True, fused=not both)
        linear(t, i, "ffn_up", 2 * FFN, WIDTH)
        linear(t, i, "ffn_down", WIDTH, FFN)
    return t


def deepseek1():
    shared = 2
    t = llama_like("deepseek", moe=True, leading_dense_block_count=1, expert_shared_count=shared,
                   expert_weights_scale=1.5, **MOE)
    t.tensors = [row for row in t.tensors if not row[0].startswith("blk.0.ffn_") or "norm" in row[0]]
    gated(t, 0)
    for i in range(1, LAYERS):
        linear(t, i, "ffn_gate_shexp", 32 * shared, WIDTH)
        linear(t, i, "ffn_up_shexp", 32 * shared, WIDTH)
        linear(t, i, "ffn_down_shexp", WIDTH, 32 * shared)
    return t


def phi3(long=False):
    keys = dict(rope__scaling__original_context_length=64, rope__scaling__attn_factor=1.19) if long else {}
    t = common("phi3", **keys)
    t.add("output.weight", VOCABULARY, WIDTH)
    if long:
        t.add("rope_factors_long.weight", HEAD // 2)
        t.add("rope_factors_short.weight", HEAD // 2)
    for i in range(LAYERS):
        norm(t, i, "attn_norm", WIDTH)
        norm(t, i, "ffn_norm", WIDTH)
        attention(t, i, fused=True)
        linear(t, i, "ffn_up", 2 * FFN, WIDTH)
        linear(t, i, "ffn_down", WIDTH, FFN)
    return t


def command_r(arch="command-r", layers=LAYERS, **keys):
    t = common(arch, norm="layer", logit_scale=0.0625, layers=layers, **keys)
    t.tensors = [row for row in t.tensors if row[0] != "output_norm.bias"]
    for i in range(layers):
        norm(t, i, "attn_norm", WIDTH)
        attention(t, i)
        gated(t, i)
    return t


def deepseek2(absorbed, q_rank, sigmoid=False, layers=LAYERS, dense=1):
    nope, rope, value, rank, heads, ffn, shared = 16, 8, 12, 24, HEADS, 32, 32
    keys = dict(attention__kv_lora_rank=rank, leading_dense_block_count=dense, expert_count=8,
                expert_used_count=3, expert_feed_forward_length=ffn, expert_shared_count=1,
                expert_weights_scale=1.5, expert_weights_norm=sigmoid,
                expert_gating_func=2 if sigmoid else 1, rope__dimension_count=rope,
                rope__scaling__type="yarn", rope__scaling__factor=4.0,
                rope__scaling__original_context_length=64, rope__scaling__yarn_log_multiplier=0.0707)
    if sigmoid:
        keys.update(expert_group_count=4, expert_group_used_count=2)
    if absorbed:
        keys.update(attention__head_count_kv=1, attention__key_length=rank + rope,
                    attention__value_length=rank, attention__key_length_mla=nope + rope,
                    attention__value_length_mla=value)
    else:
        keys.update(attention__head_count_kv=heads, attention__key_length=nope + rope,
                    attention__value_length=value)
    if q_rank:
        keys["attention__q_lora_rank"] = q_rank
    t = common("deepseek2", layers=layers, **keys)
    t.add("output.weight", VOCABULARY, WIDTH)
    for i in range(layers):
        norm(t, i, "attn_norm", WIDTH)
        norm(t, i, "ffn_norm", WIDTH)
        if q_rank:
            linear(t, i, "attn_q_a", q_rank, WIDTH)
            norm(t, i, "attn_q_a_norm", q_rank)
            linear(t, i, "attn_q_b", heads * (nope + rope), q_rank)
        else:
            linear(t, i, "attn_q", heads * (nope + rope), WIDTH)
        linear(t, i, "attn_kv_a_mqa", rank + rope, WIDTH)
        norm(t, i, "attn_kv_a_norm", rank)
        if absorbed:
            t.add(f"blk.{i}.attn_k_b.weight", heads, rank, nope)
            t.add(f"blk.{i}.attn_v_b.weight", heads, value, rank)
        else:
            linear(t, i, "attn_kv_b", heads * (nope + value), rank)
        linear(t, i, "attn_output", WIDTH, heads * value)
        if i < dense:
            gated(t, i)
            continue
        experts(t, i, 8, ffn)
        if sigmoid:
            t.add(f"blk.{i}.exp_probs_b.bias", 8)
        linear(t, i, "ffn_gate_shexp", shared, WIDTH)
        linear(t, i, "ffn_up_shexp", shared, WIDTH)
        linear(t, i, "ffn_down_shexp", WIDTH, shared)
    return t


def mamba():
    inner, state, rank, conv = 128, 16, 4, 4
    t = Tiny("mamba", block_count=LAYERS, context_length=256, embedding_length=WIDTH,
             feed_forward_length=0, attention__head_count=0, ssm__conv_kernel=conv,
             ssm__inner_size=inner, ssm__state_size=state, ssm__time_step_rank=rank,
             attention__layer_norm_rms_epsilon=1e-5)
    t.add("token_embd.weight", VOCABULARY, WIDTH)
    t.add("output_norm.weight", WIDTH)
    for i in range(LAYERS):
        norm(t, i, "attn_norm", WIDTH)
        linear(t, i, "ssm_in", 2 * inner, WIDTH)
        t.add(f"blk.{i}.ssm_conv1d.weight", inner, conv, kind="F32")
        t.add(f"blk.{i}.ssm_conv1d.bias", inner)
        linear(t, i, "ssm_x", rank + 2 * state, inner)
        linear(t, i, "ssm_dt", inner, rank, True)
        t.add(f"blk.{i}.ssm_a", inner, state, kind="F32")
        t.add(f"blk.{i}.ssm_d", inner)
        linear(t, i, "ssm_out", WIDTH, inner)
    return t


def bitnet(arch, scales):
    """llama.cpp has the silu form alone; the other one is computed here (bitnet_reference.py)."""
    t = common(arch)
    for i in range(LAYERS):
        norm(t, i, "attn_norm", WIDTH)
        norm(t, i, "ffn_norm", WIDTH)
        norm(t, i, "attn_sub_norm", WIDTH)
        norm(t, i, "ffn_sub_norm", FFN)
        attention(t, i)
        gated(t, i)
        for name in bitnet_reference.MATRICES if scales else ():
            t.add(f"blk.{i}.{name}.scale", 1)
    if arch != "bitnet":
        t.computed = lambda tokens: bitnet_reference.logits(t, tokens, floats)
    return t


def quantized(kind):
    return llama_like("llama", kind=kind, width=256, ffn=512, layers=2, head=64)


MODELS = {
    "llama": lambda: llama_like("llama"),
    "llama-tied": lambda: llama_like("llama", output=False),
    "llama-linear": lambda: llama_like("llama", rope__scaling__type="linear",
                                       rope__scaling__factor=4.0),
    "llama-yarn": lambda: llama_like("llama", rope__scaling__type="yarn",
                                     rope__scaling__factor=4.0,
                                     rope__scaling__original_context_length=64),
    "mistral": mistral,
    "llama3-factors": lambda: llama_like("llama", rope_freqs=True, rope__freq_base=500000.0),
    "mixtral": lambda: llama_like("llama", moe=FFN, expert_count=6, expert_used_count=2),
    "qwen2": lambda: llama_like("qwen2", bias=True),
    "qwen3": lambda: llama_like("qwen3", qk_norm=1, head=32, attention__key_length=32,
                                attention__value_length=32),
    "qwen2moe": lambda: llama_like("qwen2moe", bias=True, moe=True, shared=48,
                                   expert_shared_feed_forward_length=48, **MOE),
    "qwen3moe": lambda: llama_like("qwen3moe", qk_norm=1, moe=True, **MOE),
    "olmo2": lambda: llama_like("olmo2", qk_norm=2, pre=False, post=True),
    "olmoe": lambda: llama_like("olmoe", qk_norm=2, moe=True, kv=HEADS, ffn=32,
                                attention__head_count_kv=HEADS, **MOE),
    "olmo3": lambda: llama_like("olmo2", qk_norm=2, pre=False, post=True, layers=5,
                                attention__sliding_window=6, rope__scaling__type="yarn",
                                rope__scaling__factor=4.0,
                                rope__scaling__original_context_length=64),
    "exaone4": lambda: llama_like("exaone4", qk_norm=1, pre=False, post=True),
    # The number of layers says which one it is.
    "exaone4-32b": lambda: llama_like("exaone4", qk_norm=1, pre=False, post=True, layers=64,
                                      attention__sliding_window=6),
    "granitemoe": lambda: llama_like("granitemoe", moe=FFN, expert_count=6, expert_used_count=2,
                                     embedding_scale=3.0, residual_scale=0.5,
                                     attention__scale=0.125, logit_scale=2.0),
    "minicpm": lambda: llama_like("minicpm"),
    "granite": lambda: llama_like("granite", embedding_scale=3.0, residual_scale=0.5,
                                  attention__scale=0.125, logit_scale=2.0),
    "internlm2": lambda: llama_like("internlm2"),
    "exaone": lambda: llama_like("exaone"),
    "xverse": lambda: llama_like("xverse"),
    "ernie4_5": lambda: llama_like("ernie4_5"),
    "chatglm": lambda: glm("chatglm", False),
    "glm4": lambda: glm("glm4", True),
    "orion": lambda: layer_normed("orion"),
    "stablelm": lambda: layer_normed("stablelm", rope__dimension_count=4,
                                     use_parallel_residual=False),
    "smollm3": lambda: llama_like("smollm3", layers=4),
    "gemma": lambda: llama_like("gemma", output=False),
    "gemma2": lambda: llama_like("gemma2", output=False, post=True,
                                 attention__sliding_window=6, attn_logit_softcapping=5.0,
                                 final_logit_softcapping=3.0, attention__key_length=HEAD,
                                 attention__value_length=HEAD),
    "gemma3": lambda: llama_like("gemma3", output=False, post=True, qk_norm=1, layers=7,
                                 attention__sliding_window=6, attention__key_length=HEAD,
                                 attention__value_length=HEAD, rope__freq_base=1000000.0),
    "phi2": lambda: gpt_like("phi2", output=True, rope=8, second_norm=False),
    "phi3": phi3,
    "phi3-longrope": lambda: phi3(True),
    "gpt2": lambda: gpt_like("gpt2", position=True),
    "starcoder": lambda: gpt_like("starcoder", position=True, kv=1),
    "starcoder2": lambda: gpt_like("starcoder2", fused=False, kv=2),
    "falcon": lambda: gpt_like("falcon", kv=1, bias=False, second_norm=False),
    "gptneox": lambda: gpt_like("gptneox", rope=8, output=True, use_parallel_residual=True),
    "gptneox-serial": lambda: gpt_like("gptneox", rope=8, output=True,
                                       use_parallel_residual=False),
    "codeshell": lambda: gpt_like("codeshell", kv=2, output=True),
    "command-r": command_r,
    "cohere2": lambda: command_r("cohere2", 5, attention__sliding_window=6),
    "deepseek": deepseek1,
    "deepseek2": lambda: deepseek2(False, 20),
    # llama.cpp knows the form without q_a by its number of layers; so many choices of experts
    # would leave it to rounding, so they are dense.
    "deepseek2-lite": lambda: deepseek2(False, 0, layers=27, dense=27),
    "deepseek2-mla": lambda: deepseek2(True, 20),
    "deepseek3-mla": lambda: deepseek2(True, 20, sigmoid=True),
    "mamba": mamba,
    "bitnet": lambda: bitnet("bitnet", True),
    "bitnet-b1.58": lambda: bitnet("bitnet-b1.58", False),
}
# Too many layers for the unit tests: no golden, only closeness.py compares it.
LARGE = ["exaone4-32b"]
for _kind in ["F16", "BF16", *BLOCKS]:
    MODELS["quant-" + _kind.lower()] = lambda kind=_kind: quantized(kind)


def logits_of(path, tokens):
    from llama_logits import Llama  # others that make models need no llama.cpp
    model = Llama(path, context=256, threads=1)
    rows = model.logits(tokens)
    model.close()
    return rows


def table(logits):
    step = float(np.abs(logits).max()) / 32767
    return struct.pack("<f", step) + np.round(logits / np.float32(step)).astype("<i2").tobytes()


def save(golden, path, tokens, tables):
    header = open(path, "rb").read(gguf.GGUFReader(path).data_offset)
    header += bytes(-len(header) % 4)
    with open(golden, "wb") as out:
        out.write(struct.pack("<I", len(header)) + header)
        out.write(struct.pack("<III", len(tokens), tables[0].shape[1], len(tables)))
        out.write(struct.pack(f"<{len(tokens)}I", *tokens))
        for rows in tables:
            out.write(table(rows))


def make(name, folder):
    tiny = MODELS[name]()
    path = os.path.join(folder, name + ".gguf")
    tiny.write(path)
    oracle = os.path.join(folder, name + ".oracle.gguf")
    tiny.oracle.write(oracle)
    tokens = [int(b) % VOCABULARY for b in stream("tokens", TOKENS)]
    tables = [tiny.computed(tokens) if tiny.computed else logits_of(oracle, tokens)]
    if name.startswith("quant-"):
        reference = os.path.join(folder, name + ".f32.gguf")
        tiny.write(reference, dequantized=True)
        tables.append(logits_of(reference, tokens))
    save(os.path.join(OUT, name + ".golden"), path, tokens, tables)
    top = np.sort(tables[0], axis=1)
    print(f"{name:16} logits {tables[0].min():8.3f} to {tables[0].max():8.3f}, "
          f"mean gap {np.mean(top[:, -1] - top[:, -2]):.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", help="folder for the GGUF files")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    os.makedirs(OUT, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        for name in args.names or [n for n in MODELS if n not in LARGE]:
            try:
                make(name, args.keep or temporary)
            except RuntimeError as error:
                print(f"{name}: {error}")


if __name__ == "__main__":
    main()
