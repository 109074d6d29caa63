#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes a GGUF of the family qwen3moe with random weights in blocks of Q4_0: moe_gguf.py FILE [SHAPE]

The shapes: small (84 MB, for tests), large (340 MB), 30B (Qwen3-30B-A3B cut to 8 layers: 2.8 GB). Speed depends on shapes and
formats, not on the values of the weights.
"""
import dataclasses
import pathlib
import random
import struct
import sys

from tiny_gguf import F32, STRING, U32, array, key, text, tokens  # noqa: F401

Q4_0, BLOCK_WEIGHTS, BLOCK_BYTES = 2, 32, 18


@dataclasses.dataclass(frozen=True)
class Shape:
    layers: int
    width: int
    heads: int
    kv_heads: int
    head: int
    experts: int
    used: int
    expert: int
    vocabulary: int = 512
    context: int = 2048

    def expert_bytes(self) -> int:
        return 3 * self.width * self.expert // BLOCK_WEIGHTS * BLOCK_BYTES


SHAPES = {"small": Shape(6, 256, 4, 2, 64, 64, 4, 512), "large": Shape(8, 512, 8, 2, 64, 64, 4, 768),
          "30B": Shape(8, 2048, 32, 4, 128, 128, 8, 768, 4096)}


def header(shape: Shape) -> list[bytes]:
    names = {"context_length": shape.context, "embedding_length": shape.width, "block_count": shape.layers,
             "feed_forward_length": shape.expert, "expert_feed_forward_length": shape.expert,
             "expert_count": shape.experts, "expert_used_count": shape.used, "attention.head_count": shape.heads,
             "attention.head_count_kv": shape.kv_heads, "attention.key_length": shape.head,
             "attention.value_length": shape.head}
    pieces = tokens(shape.vocabulary)
    return [key("general.architecture", STRING, text("qwen3moe")), key("general.name", STRING, text("random experts")),
            *(key(f"qwen3moe.{name}", U32, struct.pack("<I", value)) for name, value in names.items()),
            key("qwen3moe.attention.layer_norm_rms_epsilon", F32, struct.pack("<f", 1e-6)),
            key("tokenizer.ggml.model", STRING, text("llama")),
            array("tokenizer.ggml.tokens", STRING, [text(piece) for piece, _ in pieces]),
            array("tokenizer.ggml.scores", F32, [struct.pack("<f", -i) for i in range(len(pieces))]),
            array("tokenizer.ggml.token_type", 5, [struct.pack("<i", kind) for _, kind in pieces]),
            key("tokenizer.ggml.bos_token_id", U32, struct.pack("<I", 1)),
            key("tokenizer.ggml.eos_token_id", U32, struct.pack("<I", 2))]


def tensors(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Names and dimensions, the fastest one first."""
    query, kv = shape.heads * shape.head, shape.kv_heads * shape.head
    made = {"token_embd.weight": (shape.width, shape.vocabulary), "output_norm.weight": (shape.width,),
            "output.weight": (shape.width, shape.vocabulary)}
    for layer in range(shape.layers):
        block = {"attn_norm": (shape.width,), "attn_q": (shape.width, query), "attn_k": (shape.width, kv),
                 "attn_v": (shape.width, kv), "attn_q_norm": (shape.head,), "attn_k_norm": (shape.head,),
                 "attn_output": (query, shape.width), "ffn_norm": (shape.width,),
                 "ffn_gate_inp": (shape.width, shape.experts),
                 "ffn_gate_exps": (shape.width, shape.expert, shape.experts),
                 "ffn_up_exps": (shape.width, shape.expert, shape.experts),
                 "ffn_down_exps": (shape.expert, shape.width, shape.experts)}
        made |= {f"blk.{layer}.{name}.weight": dimensions for name, dimensions in block.items()}
    return made


def is_float(name: str) -> bool:
    return "norm" in name or "gate_inp" in name


def size_of(name: str, dimensions: tuple[int, ...]) -> int:
    count = 1
    for dimension in dimensions:
        count *= dimension
    return 4 * count if is_float(name) else count // BLOCK_WEIGHTS * BLOCK_BYTES


class Values:
    """Random blocks that repeat from another place for each tensor, because gigabytes of new ones would take minutes."""

    BLOCKS = 65521  # a prime, so that no two rows are alike

    def __init__(self, seed: int, width: int):
        self.chance = random.Random(seed)
        scales = [struct.pack("<e", sign * 0.5 * width ** -0.5) for sign in (1, -1)]  # the numbers of a block are not around 0
        self.blocks = b"".join(self.chance.choice(scales) + self.chance.randbytes(16) for _ in range(self.BLOCKS))

    def write(self, file, name: str, bytes_wanted: int) -> None:
        if is_float(name):
            low, high = (0.9, 1.1) if "norm" in name else (-0.3, 0.3)
            count = bytes_wanted // 4
            file.write(struct.pack(f"<{count}f", *(self.chance.uniform(low, high) for _ in range(count))))
            return
        start = self.chance.randrange(self.BLOCKS) * BLOCK_BYTES
        turned = self.blocks[start:] + self.blocks[:start]
        for at in range(0, bytes_wanted, len(turned)):
            file.write(turned[:min(len(turned), bytes_wanted - at)])


def write(path: pathlib.Path, shape: Shape, seed: int = 1) -> pathlib.Path:
    infos, at = [], 0
    for name, dimensions in tensors(shape).items():
        kind = 0 if is_float(name) else Q4_0
        infos.append(text(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind, at))
        at += size_of(name, dimensions)
        at += -at % 32
    keys = header(shape)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(infos), len(keys)) + b"".join(keys) + b"".join(infos)
    values = Values(seed, shape.width)
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % 32))
        for name, dimensions in tensors(shape).items():
            values.write(file, name, size_of(name, dimensions))
            file.write(bytes(-file.tell() % 32))
    return path


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    write(pathlib.Path(sys.argv[1]), SHAPES[sys.argv[2] if len(sys.argv) == 3 else "small"])
