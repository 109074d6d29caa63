#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes build/generated/catalogue_table.h: the rows of scripts/models.toml for `model pull NAME`."""
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEAD = """// SPDX-License-Identifier: GPL-2.0-or-later
// Written by scripts/gen_catalogue.py from scripts/models.toml. Included by service/catalogue.cpp.
#pragma once

namespace service {
namespace {

constexpr CatalogueModel kCatalogue[] = {
"""


def text(value: str) -> str:
    if not re.fullmatch(r"[ -!#-\[\]-~]*", value):
        sys.exit(f"gen_catalogue: {value!r}: printable ASCII without quotes and backslashes")
    return f'"{value}"'


def row(name: str, model: dict) -> str:
    """Checks a row: either a wheel or a source, and a hash only together with its size."""
    if not model.get("title") or not model.get("licence") or not (model.get("source") or model.get("package")):
        sys.exit(f"gen_catalogue: {name}: a row needs title, licence, and source or package")
    digest, size = model.get("sha256", ""), model.get("size", 0)
    if (digest != "") != (size != 0) or not re.fullmatch(r"([0-9a-f]{64})?", digest):
        sys.exit(f"gen_catalogue: {name}: sha256 (64 digits) and size stand together, or neither does")
    fields = [text(name), text(model["title"]), text(model.get("source", "")), text(digest), text(model["licence"]), str(size)]
    return f"    {{{', '.join(fields)}}},\n"


def main() -> None:
    models = tomllib.loads((ROOT / "scripts/models.toml").read_text())["model"]
    out = pathlib.Path(sys.argv[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(row(name, model) for name, model in models.items())
    out.write_text(f"{HEAD}{rows}}};\n\n}}  // namespace\n}}  // namespace service\n")


if __name__ == "__main__":
    main()
