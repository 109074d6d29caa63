#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares our chat templates with PyPI's jinja2, which is the judge: where it writes a text, ours is the same.

templates_compared.py fuzz [COUNT] [SEED]   random templates (template_maker.py) with random conversations
templates_compared.py real [FOLDER]         the templates of templates.py and all files of FOLDER with 200 conversations each

Needs `make build/tools/template` and the package jinja2. Exits with 1 if a text differs, or if a template is
refused for a reason that is not in LIMITS.
"""
import collections
import json
import pathlib
import random
import subprocess
import sys
import warnings

import template_maker
import templates

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/tools/template"
# What ours refuse by design: wiki/Engine.md tells it.
# Slices of the literal none are texts only because Jinja computes with literals beforehand, by other rules.
LIMITS = ["None has no slices", "runs too long", "nest too deeply", "nested too deeply", "too much memory", "compute with fractions", "is too large", "writes more than"]


class Tool:
    """build/tools/template as a running program."""

    def __init__(self):
        self.process = subprocess.Popen([TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
                                        errors="surrogateescape")

    def render(self, source, case):
        """(text, None) or (None, the reason of a refusal)."""
        self.process.stdin.write(json.dumps(dict(case, template=source)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"the tool died at {json.dumps(dict(case, template=source))}")
        answer = json.loads(line)
        return (answer, None) if isinstance(answer, str) else (None, answer["error"])


def difference(tool, source, case):
    """None, or (what jinja2 wrote, what ours wrote or said, a limit's name)."""
    expected = templates.render(source, case)
    if expected is None:
        return None
    try:
        expected.encode()
    except UnicodeEncodeError:  # half a pair of surrogates, which no model reads
        return None
    got, refusal = tool.render(source, case)
    if got == expected:
        return ()
    limit = next((word for word in LIMITS if refusal and word in refusal), "")
    return expected, got if refusal is None else "refused: " + refusal, limit


def smaller(tool, pieces, case):
    """Leaves out pieces and variables as long as the texts still differ for no known reason."""
    def differs(some, what):
        found = difference(tool, "".join(some), what)
        return bool(found) and not found[2]
    at = 0
    while at < len(pieces):
        fewer = pieces[:at] + pieces[at + 1:]
        if differs(fewer, case):
            pieces = fewer
        else:
            at += 1
    for part in ("extra", "tools"):
        without = {key: v for key, v in case.items() if key != part}
        if differs(pieces, without):
            case = without
    return pieces, case


def report(tool, number, pieces, case):
    pieces, case = smaller(tool, pieces, case)
    expected, got, _ = difference(tool, "".join(pieces), case)
    print(f"  {number}: {json.dumps(''.join(pieces), ensure_ascii=False)}\n    jinja2 {expected!r}\n    ours   {got!r}\n    {json.dumps(case, ensure_ascii=False)[:600]}")


def fuzz(count, seed):
    tool, totals, limits, wrong = Tool(), collections.Counter(), collections.Counter(), 0
    for number in range(count):
        r = random.Random(seed * 1_000_003 + number)
        pieces = template_maker.make(r)
        case = template_maker.conversation(r)
        found = difference(tool, "".join(pieces), case)
        totals["refused by jinja2" if found is None else "same" if not found else "limit" if found[2] else "different"] += 1
        if found and found[2]:
            limits[found[2]] += 1
        elif found:
            wrong += 1
            if wrong <= 40:
                report(tool, number, pieces, case)
    print(f"fuzz: {count} templates: {dict(totals)}; limits: {dict(limits)}")
    return wrong


def real(folder):
    sources = dict(templates.CHAT)
    if folder:
        sources |= {file.name: file.read_text(encoding="utf-8") for file in sorted(pathlib.Path(folder).iterdir())}
    tool, totals, wrong = Tool(), collections.Counter(), 0
    for name, source in sources.items():
        r = random.Random(name)
        cases = [case for _, case in templates.conversations()] + [template_maker.conversation(r) for _ in range(200)]
        for number, case in enumerate(cases):
            found = difference(tool, source, case)
            totals["refused by jinja2" if found is None else "same" if not found else "limit" if found[2] else "different"] += 1
            if found and not found[2]:
                wrong += 1
                print(f"  {name} {number}:\n    jinja2 {found[0]!r}\n    ours   {found[1]!r}\n    {json.dumps(case, ensure_ascii=False)[:1000]}")
    print(f"real: {len(sources)} templates: {dict(totals)}")
    return wrong


def main():
    warnings.filterwarnings("ignore", category=SyntaxWarning)  # Python's, of the code that Jinja makes of a wrong template
    verb, words = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if verb == "fuzz":
        count, seed = list(map(int, words)) + [3000, 1][len(words):]
        return fuzz(count, seed)
    if verb == "real":
        return real(words[0] if words else "")
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(min(main(), 1))
