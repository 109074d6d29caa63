#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns a console font (PSF 1 or 2, gzipped or not) into a C++ header: bitmaps and a table from
Unicode to glyph, sorted. Usage: gen_font.py FONT.psf[.gz] OUT.h
"""
import gzip
import pathlib
import struct
import sys

PSF1_MAGIC = b"\x36\x04"
PSF2_MAGIC = b"\x72\xb5\x4a\x86"


def read_psf1(data: bytes):
    """Glyphs of 8 x size pixels; the table is 16-bit code points, 0xffff ends a glyph's list and
    0xfffe begins a sequence (left out: one cell shows one character)."""
    mode, size = data[2], data[3]
    count = 512 if mode & 1 else 256
    glyphs = [data[4 + i * size:4 + (i + 1) * size] for i in range(count)]
    codes = {}
    if mode & 6:
        words = struct.unpack(f"<{(len(data) - 4 - count * size) // 2}H", data[4 + count * size:])
        glyph, in_sequence = 0, False
        for word in words:
            if word == 0xffff:
                glyph, in_sequence = glyph + 1, False
            elif word == 0xfffe:
                in_sequence = True
            elif not in_sequence:
                codes.setdefault(word, glyph)
    return 8, size, glyphs, codes


def read_psf2(data: bytes):
    """As PSF 1, with any width and a table in UTF-8 (0xff ends a list, 0xfe begins a sequence)."""
    _, _, offset, flags, count, size, height, width = struct.unpack("<8I", data[:32])
    glyphs = [data[offset + i * size:offset + (i + 1) * size] for i in range(count)]
    codes = {}
    if flags & 1:
        lists = data[offset + count * size:].split(b"\xff")
        for glyph, entry in enumerate(lists[:count]):
            for character in entry.split(b"\xfe")[0].decode("utf-8"):
                codes.setdefault(ord(character), glyph)
    return width, height, glyphs, codes


def main() -> None:
    source, out = sys.argv[1], pathlib.Path(sys.argv[2])
    data = pathlib.Path(source).read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if data[:2] == PSF1_MAGIC:
        width, height, glyphs, codes = read_psf1(data)
    elif data[:4] == PSF2_MAGIC:
        width, height, glyphs, codes = read_psf2(data)
    else:
        sys.exit(f"{source}: not a PSF font")
    if width != 8:
        sys.exit(f"{source}: {width} pixels wide; the screen driver draws fonts 8 wide")
    rows = ",\n".join("    {" + ", ".join(f"0x{b:02x}" for b in glyph) + "}" for glyph in glyphs)
    table = ",\n".join("    " + ", ".join(f"{{0x{c:04x}, {codes[c]}}}" for c in part)
                       for part in (sorted(codes)[i:i + 8] for i in range(0, len(codes), 8)))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        "// SPDX-License-Identifier: GPL-2.0-or-later\n"
        f"// Written by scripts/gen_font.py from {pathlib.Path(source).name}.\n#pragma once\n\n"
        '#include "kernel/base/types.h"\n\n'
        f"constexpr u32 kFontWidth = {width}, kFontHeight = {height};\n"
        "struct FontCode {\n  u32 code;\n  u16 glyph;\n};\n"
        f"inline constexpr u8 kFontGlyphs[][kFontHeight] = {{\n{rows},\n}};\n"
        f"inline constexpr FontCode kFontCodes[] = {{\n{table},\n}};\n")


if __name__ == "__main__":
    main()
