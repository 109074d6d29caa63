#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the chat page's bytes as numbers for an array in C++. Usage: embed_page.py FOLDER OUTPUT

The page is one file: index.html with page.css in its empty <style> and page.js in its empty <script>. Its own
policy names both by their hashes, so no other script runs: they replace 'sha256-STYLE' and 'sha256-SCRIPT'.
Indentation and lines of comments are left out.
"""
import base64
import hashlib
import pathlib
import sys


def without_indentation(text: str) -> str:
    lines = (line.strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/*"))) + "\n"


def whole_page(folder: pathlib.Path) -> str:
    page = without_indentation((folder / "index.html").read_text(encoding="utf-8"))
    for tag, file in (("style", "page.css"), ("script", "page.js")):
        part = without_indentation((folder / file).read_text(encoding="utf-8"))
        empty, mark = f"<{tag}></{tag}>", f"'sha256-{tag.upper()}'"
        if page.count(empty) != 1 or page.count(mark) != 1 or f"</{tag}" in part:
            sys.exit(f"the page needs one {empty} and one {mark} in its policy, and {file} no </{tag}")
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        page = page.replace(mark, f"'sha256-{digest}'").replace(empty, f"<{tag}>{part}</{tag}>")
    return page


def main() -> None:
    data = whole_page(pathlib.Path(sys.argv[1])).encode()
    lines = (", ".join(str(b) for b in data[i:i + 32]) + "," for i in range(0, len(data), 32))
    pathlib.Path(sys.argv[2]).write_text("\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
