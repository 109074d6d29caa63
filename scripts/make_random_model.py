#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes models with random weights: make_random_model.py FOLDER [--shape 1.1B] [TYPE...]

The shapes: 1.1B is TinyLlama's; 25M is small enough for a cache, so that threads do not share a memory bus;
bitnet-0.7B is that of 1bitLLM's bitnet_b1_58-large, bitnet-2B that of Microsoft's BitNet b1.58 2B4T.
TYPE is a quantization of llama.cpp: Q4_K_M (the default), Q8_0, Q6_K, Q5_K_M, Q4_0, TQ1_0, TQ2_0 ...
Speed depends on shapes and formats, not on the values of the weights. Existing files are kept.
Needs numpy and gguf from PyPI, and llama-cpp-python, which quantizes what the first two write as F16.
The layers of TQ1_0 and TQ2_0 are written at once, since random bytes are such weights; the rest is F16.
"""
import ctypes
import os
import pathlib
import sys

import gguf
import numpy

SHAPES = {"1.1B": (22, 2048, 32, 4, 5632, 32000), "25M": (8, 512, 8, 4, 1536, 8192),
          "bitnet-0.7B": (24, 1536, 16, 16, 4096, 32002), "bitnet-2B": (30, 2560, 20, 5, 6912, 128256)}
SHAPE = sys.argv[sys.argv.index("--shape") + 1] if "--shape" in sys.argv[:-1] else "1.1B"
LAYERS, WIDTH, HEADS, KV_HEADS, FFN, VOCABULARY = SHAPES[SHAPE]
NAME = f"random-{SHAPE}"
BITNET = SHAPE.startswith("bitnet")
TERNARY = ("TQ1_0", "TQ2_0")  # two bytes at the end of a block are its scale


def tokens():
    """A vocabulary of the SentencePiece kind: special tokens, bytes, then words of two to four letters."""
    kinds = gguf.TokenType
    yield from (("<unk>", 0.0, kinds.UNKNOWN), ("<s>", 0.0, kinds.CONTROL), ("</s>", 0.0, kinds.CONTROL))
    yield from ((f"<0x{byte:02X}>", 0.0, kinds.BYTE) for byte in range(256))
    for number in range(VOCABULARY - 259):
        word, rest = "", number
        while rest or len(word) < 2:
            word, rest = word + chr(ord("a") + rest % 26), rest // 26
        yield word, -float(number), kinds.NORMAL


def tensors():
    """(name, rows, columns); vectors have no rows."""
    kv_width = WIDTH // HEADS * KV_HEADS
    yield "token_embd.weight", VOCABULARY, WIDTH
    if not BITNET:  # its output matrix is the embedding
        yield "output.weight", VOCABULARY, WIDTH
    yield "output_norm.weight", 0, WIDTH
    for layer in range(LAYERS):
        shapes = {"attn_norm": (0, WIDTH), "attn_q": (WIDTH, WIDTH), "attn_k": (kv_width, WIDTH),
                  "attn_v": (kv_width, WIDTH), "attn_output": (WIDTH, WIDTH), "ffn_norm": (0, WIDTH),
                  "ffn_gate": (FFN, WIDTH), "ffn_up": (FFN, WIDTH), "ffn_down": (WIDTH, FFN)}
        if BITNET:
            shapes |= {"attn_sub_norm": (0, WIDTH), "ffn_sub_norm": (0, FFN)}
        for name, shape in shapes.items():
            yield f"blk.{layer}.{name}.weight", *shape


def type_of(name, rows, kind):
    """The type of a tensor in a file of this kind."""
    if not rows:
        return gguf.GGMLQuantizationType.F32
    return gguf.GGMLQuantizationType[kind if name.startswith("blk.") else "F16"]


def write(path, kind):
    """kind: F16 or a ternary type."""
    writer = gguf.GGUFWriter(str(path), "bitnet" if BITNET else "llama")
    writer.add_name(NAME)
    writer.add_context_length(4096)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{kind}"])
    vocabulary = list(tokens())
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text.encode() for text, _, _ in vocabulary])
    writer.add_token_scores([score for _, score, _ in vocabulary])
    writer.add_token_types([int(kind) for _, _, kind in vocabulary])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.use_temp_file = False
    for name, rows, columns in tensors():
        quant = type_of(name, rows, kind)
        shape = gguf.quant_shape_to_byte_shape((rows, columns) if rows else (columns,), quant)
        writer.add_tensor_info(name, shape, numpy.dtype(numpy.uint8), int(numpy.prod(shape)), raw_dtype=quant)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    dice = numpy.random.default_rng(7)
    for name, rows, columns in tensors():
        quant = type_of(name, rows, kind)
        if not rows:
            values = numpy.ones(columns, numpy.float32)
        elif quant.name in TERNARY:
            values = random_blocks(dice, rows, columns, quant)
        else:
            values = dice.standard_normal((rows, columns), dtype=numpy.float32) * numpy.float32(columns ** -0.5)
            values = values.astype(numpy.float16)
        writer.write_tensor_data(values)
    writer.close()


def random_blocks(dice, rows, columns, quant):
    weights, size = gguf.GGML_QUANT_SIZES[quant]
    blocks = dice.integers(0, 256, (rows * columns // weights, size), dtype=numpy.uint8)
    if quant.name == "TQ2_0":
        blocks ^= (blocks & blocks >> 1 & 0x55) << 1  # 3, which no quantizer writes, becomes 1
    blocks[:, -2:] = numpy.frombuffer(numpy.float16(columns ** -0.5).tobytes(), numpy.uint8)
    return blocks


def quantize(source, target, name):
    import llama_cpp  # ternary models need none
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{name}")
    params.nthread = os.cpu_count()
    part = target.with_suffix(".part")
    if llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(part), ctypes.byref(params)) != 0:
        sys.exit(f"llama.cpp cannot quantize to {name}")
    part.rename(target)


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1]).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    kinds = [word for word in sys.argv[2:] if word not in ("--shape", SHAPE)] or ["Q4_K_M"]
    missing = [kind for kind in kinds if not (folder / f"{NAME}.{kind}.gguf").exists()]
    if not missing:
        return
    source = folder / f"{NAME}.F16.gguf"
    for kind in missing:
        target = folder / f"{NAME}.{kind}.gguf"
        if kind in TERNARY:
            make(target, kind)
        else:
            if not source.exists():
                make(source, "F16")
            quantize(source, target, kind)
        print(target)


def make(target, kind):
    part = target.with_suffix(".part")
    write(part, kind)
    part.rename(target)


main()
