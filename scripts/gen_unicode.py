#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the Unicode tables of ai/tokenizer/unicode.cpp from the Unicode Character Database.

usage: gen_unicode.py UCD_DIRECTORY OUTPUT
UCD_DIRECTORY holds UnicodeData.txt and PropList.txt (Debian: package unicode-data). UAX #44
describes both files. The tables are two-stage: code point / 128 selects a block of 128 bytes;
equal blocks are stored once.
"""
import os
import sys

BLOCK = 128
CODE_POINTS = 0x110000
# Order is the value stored in the table: ai/tokenizer/unicode.h declares the same.
CATEGORIES = (
    "Cn Cc Cf Co Cs Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Zl Zp Zs"
).split()
WHITE_SPACE = 0x80


def read_unicode_data(path):
    """Yields (first, last, fields): a range of code points and the columns they share."""
    first = None
    for line in open(path, encoding="ascii"):
        fields = line.rstrip("\n").split(";")
        code = int(fields[0], 16)
        if fields[1].endswith(", First>"):
            first = code
        elif fields[1].endswith(", Last>"):
            yield first, code, fields
        else:
            yield code, code, fields


def read_property(path, name):
    for line in open(path, encoding="utf-8"):
        columns = [part.strip() for part in line.split("#")[0].split(";")]
        if len(columns) == 2 and columns[1] == name:
            ends = columns[0].split("..")
            yield from range(int(ends[0], 16), int(ends[-1], 16) + 1)


def base_letters(decompositions):
    """First code point of each canonical decomposition, followed to its end (UAX #15)."""
    bases = {}
    for code in decompositions:
        base = code
        while base in decompositions:
            base = decompositions[base]
        bases[code] = base
    return bases


def write_bytes(out, name, values):
    out.write("constexpr u8 %s[%d] = {\n" % (name, len(values)))
    for i in range(0, len(values), 24):
        out.write("    " + "".join("%d," % v for v in values[i : i + 24]) + "\n")
    out.write("};\n")


def write_pairs(out, name, pairs):
    out.write("constexpr CodePair %s[%d] = {\n" % (name, len(pairs)))
    items = sorted(pairs.items())
    for i in range(0, len(items), 6):
        out.write("    " + "".join("{%d,%d}," % p for p in items[i : i + 6]) + "\n")
    out.write("};\n")


def main():
    directory, output = sys.argv[1:3]
    classes = bytearray(CODE_POINTS)
    lower, upper, first_of = {}, {}, {}
    for first, last, fields in read_unicode_data(os.path.join(directory, "UnicodeData.txt")):
        for code in range(first, last + 1):
            classes[code] = CATEGORIES.index(fields[2])
        if fields[12]:
            upper[first] = int(fields[12], 16)
        if fields[13]:
            lower[first] = int(fields[13], 16)
        if fields[5] and not fields[5].startswith("<"):
            first_of[first] = int(fields[5].split()[0], 16)
    for code in read_property(os.path.join(directory, "PropList.txt"), "White_Space"):
        classes[code] |= WHITE_SPACE

    blocks, index = [], []
    for start in range(0, CODE_POINTS, BLOCK):
        block = bytes(classes[start : start + BLOCK])
        if block not in blocks:
            blocks.append(block)
        index.append(blocks.index(block))
    assert len(blocks) <= 256, "the first stage is bytes"

    os.makedirs(os.path.dirname(output), exist_ok=True)
    partial = output + ".part"
    with open(partial, "w", encoding="ascii") as out:
        out.write("// Made by scripts/gen_unicode.py from the Unicode Character Database.\n")
        write_bytes(out, "kClassIndex", index)
        write_bytes(out, "kClassBlocks", b"".join(blocks))
        write_pairs(out, "kToLower", lower)
        write_pairs(out, "kToUpper", upper)
        write_pairs(out, "kBaseLetter", base_letters(first_of))
    os.replace(partial, output)


if __name__ == "__main__":
    main()
