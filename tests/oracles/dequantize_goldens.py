#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints the golden rows of tests/hosted/ai/quant/dequantize_test.cpp. Needs gguf and numpy from PyPI.

The blocks are made by the same generator as in the test; f16 and e8m0 fields lose their top
exponent bit so that every weight is finite.
"""
import numpy as np
from gguf import GGMLQuantizationType, GGML_QUANT_SIZES, quants

# name -> offsets of the bytes that hold the top exponent bit of a scale, and the mask to keep
SCALES = {
    "Q4_0": ([1], 0xBF), "Q4_1": ([1, 3], 0xBF), "Q5_0": ([1], 0xBF), "Q5_1": ([1, 3], 0xBF),
    "Q8_0": ([1], 0xBF), "Q2_K": ([81, 83], 0xBF), "Q3_K": ([109], 0xBF), "Q4_K": ([1, 3], 0xBF),
    "Q5_K": ([1, 3], 0xBF), "Q6_K": ([209], 0xBF), "IQ4_NL": ([1], 0xBF), "IQ4_XS": ([1], 0xBF),
    "MXFP4": ([0], 0x7F), "TQ1_0": ([53], 0xBF), "TQ2_0": ([65], 0xBF),
}
BLOCKS = 8


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def random_bytes(count):
    state, out = 12345, bytearray()
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append(state >> 24)
    return out


for name, (offsets, mask) in SCALES.items():
    kind = GGMLQuantizationType[name]
    size = GGML_QUANT_SIZES[kind][1]
    data = random_bytes(BLOCKS * size)
    for block in range(BLOCKS):
        for offset in offsets:
            data[block * size + offset] &= mask
    values = quants.dequantize(np.frombuffer(bytes(data), dtype=np.uint8), kind).astype("<f4")
    digest = fnv1a(values.tobytes())
    picks = ", ".join(f"{float(v).hex()}f" for v in values[[1, -1]])
    offset_list = ", ".join(map(str, (offsets * 2)[:2]))  # a row has room for two
    print(f"    {{k{name}, {{{offset_list}}}, 0x{mask:02x}, 0x{digest:016x}, {{{picks}}}}},")
