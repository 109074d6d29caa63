#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares this engine's token ids with llama.cpp's on random Unicode strings.

usage: tokenizer_random.py [--count N] [--seed S] [--pre NAME|all]... [--as t5|bert] MODEL.gguf...
Needs the PyPI packages llama-cpp-python, gguf and numpy, and build/tools/tokenize
(make build/tools/tokenize). With --pre the model's vocabulary is copied into a file that names
another pre-tokenizer, so that every one can be checked with the vocabularies that are available ("all": each
name that both sides know); with --as likewise under another tokenizer. Exit status 1 when any string differs.
"""
import argparse
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

import gguf
import llama_cpp

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(ROOT, "build/tools/tokenize")

WORDS = """the of and I'm you're we'll they've it's he'd can't DON'T SHE'S Hello WORLD camelCase HTTPServer
 https://example.org/a?b=c&d=1 foo_bar __init__ 3.14159 1,000,000 2024-05-17 12:34:56 0x1F 100% a+b=c x<y>z $5.00
 naïve café Ελληνικά Привет мир こんにちは 世界 안녕하세요 مرحبا שלום हिन्दी ไทย 😀👩‍👩‍👧 ½ ² ٣٤ Ⅷ … — “quoted” ‘x’ ~~ `code` ```
 \u00a0 \u3000 \u200b \u2028 \t \n \r\n \n\n \x0b \x85 ＡＢＣ １２３ ǅ ß ſt İi""".split(" ")
RANGES = [(0x20, 0x7e)] * 6 + [(0x00, 0x7f), (0x80, 0x24f), (0x250, 0x5ff), (0x600, 0x109f), (0x10a0, 0x1fff),
          (0x2000, 0x2bff), (0x2c00, 0x9fff), (0xa000, 0xd7ff), (0xe000, 0xffff), (0x10000, 0x1ffff),
          (0x20000, 0x10ffff)]
SPECIAL = "<|im_start|> <|im_end|> <s> </s> <unk> <|endoftext|> <|end|> <|user|> <0x0A> [INST]".split()


@llama_cpp.llama_log_callback
def QUIET(level, message, data):
    """Drops llama.cpp's log."""


def text(rng):
    """A string that mixes prose, runs of spaces and digits, and any code point."""
    out = []
    for _ in range(rng.randint(1, 12)):
        kind = rng.random()
        if kind < 0.35:
            out.append(rng.choice(WORDS))
        elif kind < 0.55:
            out.append(rng.choice([" ", "  ", "   ", "\n", "\n\n", " \n", "\t", "'", "''", " '"]))
        elif kind < 0.65:
            out.append("".join(rng.choice("0123456789") for _ in range(rng.randint(1, 9))))
        elif kind < 0.69:
            out.append(rng.choice(SPECIAL))
        elif kind < 0.77:
            out.append("".join(rng.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'é界")
                               for _ in range(rng.randint(1, 10))))
        else:
            low, high = rng.choice(RANGES)
            for _ in range(rng.randint(1, 4)):
                code = rng.randint(low, high)
                if not 0xd800 <= code <= 0xdfff:
                    out.append(chr(code))
    return "".join(out)


class Oracle:
    def __init__(self, path):
        parameters = llama_cpp.llama_model_default_params()
        parameters.vocab_only = True
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), parameters)
        if not self.model:
            raise RuntimeError("llama.cpp refuses " + path)
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.room = (llama_cpp.llama_token * 4096)()

    def close(self):
        llama_cpp.llama_model_free(self.model)

    def encode(self, data, add, special):
        count = llama_cpp.llama_tokenize(self.vocab, data, len(data), self.room, 4096, add, special)
        return list(self.room[:count])


def ours(path, texts, add, special):
    command = [TOOL, path] + ["add"] * add + ["special"] * special
    framed = b"".join(struct.pack("<I", len(t)) + t for t in texts)
    data = subprocess.run(command, input=framed, stdout=subprocess.PIPE, check=True).stdout
    at = 0
    for _ in texts:
        (count,) = struct.unpack_from("<I", data, at)
        yield list(struct.unpack_from("<%dI" % count, data, at + 4))
        at += 4 + 4 * count


def changed(path, pre, model, folder):
    """A copy of the vocabulary in `path` under another pre-tokenizer or tokenizer."""
    reader = gguf.GGUFReader(path)
    out = os.path.join(folder, "changed.gguf")
    writer = gguf.GGUFWriter(out, "gpt2")
    for key, field in reader.fields.items():
        if not key.startswith("tokenizer.") or key == ("tokenizer.ggml.model" if model else "tokenizer.ggml.pre"):
            continue
        kind = field.types[0]
        element = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        contents = field.contents()
        if model == "bert" and key == "tokenizer.ggml.token_type":
            contents = [1 if t == 6 else t for t in contents]  # llama.cpp knows no bytes there
        writer.add_key_value(key, contents, kind, element)
    if model:
        writer.add_tokenizer_model(model)
        writer.add_sep_token_id(2)
        writer.add_key_value("tokenizer.ggml.add_space_prefix", True, gguf.GGUFValueType.BOOL)
        writer.add_key_value("tokenizer.ggml.remove_extra_whitespaces", True, gguf.GGUFValueType.BOOL)
    else:
        writer.add_tokenizer_pre(pre)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return out


def compare(name, path, count, seed):
    rng = random.Random(seed)
    texts = [text(rng).encode() for _ in range(count)]
    oracle = Oracle(path)
    wrong = 0
    for add, special in ((True, True), (False, False)):
        part = texts if special else texts[: count // 4]
        for data, ids in zip(part, ours(path, part, add, special)):
            wanted = oracle.encode(data, add, special)
            if ids != wanted:
                wrong += 1
                if wrong <= 3:
                    print("  %r\n    ours  %s\n    wants %s" % (data.decode(), ids, wanted))
    oracle.close()
    print("%-28s %7d texts, seed %d: %d differ" % (name, count, seed, wrong), flush=True)
    return wrong


def known_names():
    source = open(os.path.join(ROOT, "ai/tokenizer/pretokenize.cpp"), encoding="utf-8").read()
    return re.findall(r'^    \{"([^"]+)", *[\{w]', source, re.MULTILINE)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pre", action="append", default=[])
    parser.add_argument("--as", dest="model")
    options = parser.parse_args()
    llama_cpp.llama_log_set(QUIET, None)
    wrong = 0
    for path in options.models:
        if options.model:
            with tempfile.TemporaryDirectory() as folder:
                wrong += compare(options.model, changed(path, "", options.model, folder), options.count,
                                 options.seed)
        elif not options.pre:
            wrong += compare(os.path.basename(path), path, options.count, options.seed)
        names = known_names() if options.pre == ["all"] else options.pre
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    wrong += compare(name, changed(path, name, "", folder), options.count, options.seed)
                except RuntimeError as error:
                    print("%-28s %s" % (name, error), flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
