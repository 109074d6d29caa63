# SPDX-License-Identifier: GPL-2.0-or-later
"""A GGUF of the family llama with random weights and a tokenizer, small enough for an image of a test."""
import pathlib
import random
import struct

WIDTH, HIDDEN, HEADS, CONTEXT = 64, 64, 2, 128
U32, F32, STRING, ARRAY, I32 = 4, 6, 8, 9, 5
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def key(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def array(name: str, kind: int, values: list[bytes]) -> bytes:
    return key(name, ARRAY, struct.pack("<IQ", kind, len(values)) + b"".join(values))


def tokens(count: int) -> list[tuple[str, int]]:
    special = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]
    letters = [(chr(33 + i), NORMAL) for i in range(94)]
    words = [(f"w{i}", NORMAL) for i in range(count - 3 - 256 - 94)]
    return special + [(f"<0x{i:02X}>", BYTE) for i in range(256)] + letters + words


def header(vocabulary: int) -> list[bytes]:
    names = {"context_length": CONTEXT, "embedding_length": WIDTH, "block_count": 1, "feed_forward_length": HIDDEN,
             "attention.head_count": HEADS, "attention.head_count_kv": HEADS, "rope.dimension_count": WIDTH // HEADS}
    pieces = tokens(vocabulary)
    return [key("general.architecture", STRING, text("llama")), key("general.name", STRING, text("tiny")),
            *(key(f"llama.{name}", U32, struct.pack("<I", value)) for name, value in names.items()),
            key("llama.attention.layer_norm_rms_epsilon", F32, struct.pack("<f", 1e-5)),
            key("tokenizer.ggml.model", STRING, text("llama")),
            array("tokenizer.ggml.tokens", STRING, [text(piece) for piece, _ in pieces]),
            array("tokenizer.ggml.scores", F32, [struct.pack("<f", -i) for i in range(len(pieces))]),
            array("tokenizer.ggml.token_type", I32, [struct.pack("<i", kind) for _, kind in pieces]),
            key("tokenizer.ggml.bos_token_id", U32, struct.pack("<I", 1)),
            key("tokenizer.ggml.eos_token_id", U32, struct.pack("<I", 2))]


def tensors(vocabulary: int) -> dict[str, tuple[int, ...]]:
    """Names and dimensions, the fastest one first."""
    square = {name: (WIDTH, WIDTH) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
    block = {**square, "ffn_gate": (WIDTH, HIDDEN), "ffn_up": (WIDTH, HIDDEN), "ffn_down": (HIDDEN, WIDTH),
             "attn_norm": (WIDTH,), "ffn_norm": (WIDTH,)}
    return {"token_embd.weight": (WIDTH, vocabulary), "output_norm.weight": (WIDTH,),
            **{f"blk.0.{name}.weight": shape for name, shape in block.items()}}


def write(path: pathlib.Path, vocabulary: int = 400) -> pathlib.Path:
    """Each 4,096 tokens of the vocabulary make it a MiB larger."""
    chance, infos, data = random.Random(vocabulary), [], bytearray()
    for name, shape in tensors(vocabulary).items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        infos.append(text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data)))
        row = struct.pack("<256f", *(chance.uniform(-0.5, 0.5) for _ in range(256)))
        data += (row * (count // 256 + 1))[:count * 4]
        data += bytes(-len(data) % 32)
    keys = header(vocabulary)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(infos), len(keys)) + b"".join(keys) + b"".join(infos)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return path


def end_of_value(data: bytes, at: int, kind: int) -> int:
    if kind == STRING:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    if kind != ARRAY:
        return at + {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}[kind]
    inner, count = struct.unpack_from("<IQ", data, at)
    at += 12
    for _ in range(count):
        at = end_of_value(data, at, inner)
    return at


def with_template(data: bytes, template: str) -> bytes:
    """The same model with another chat template. Tensors stay where their offsets say, since they count from the data's begin."""
    name, alignment = "tokenizer.chat_template", 32
    magic, version, tensor_count, pairs = struct.unpack_from("<4sIQQ", data)
    at, kept = 24, []
    for _ in range(pairs):
        begin = at
        at = end_of_value(data, at, STRING)
        key_name = data[begin + 8:at].decode()
        kind = struct.unpack_from("<I", data, at)[0]
        at = end_of_value(data, at + 4, kind)
        if key_name == "general.alignment":
            alignment = struct.unpack_from("<I", data, at - 4)[0]
        if key_name != name:
            kept.append(data[begin:at])
    infos = at
    for _ in range(tensor_count):
        at = end_of_value(data, at, STRING)
        at += 4 + 8 * struct.unpack_from("<I", data, at)[0] + 12
    kept.append(key(name, STRING, text(template)))
    head = struct.pack("<4sIQQ", magic, version, tensor_count, len(kept)) + b"".join(kept) + data[infos:at]
    return head + bytes(-len(head) % alignment) + data[at + -at % alignment:]
