#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares the schema compiler with PyPI's jsonschema, which is the judge.

schemas.py suite FOLDER [DRAFT]   JSON-Schema-Test-Suite: what is refused, and what is judged wrongly
schemas.py real                   tests/goldens/schemas: what Zod and pydantic write, with their values
schemas.py corpus                 writes tests/goldens/schemas/random.json, which the unit tests read
schemas.py fuzz [COUNT] [SEED] [SECONDS]
                                  random schemas with random values and random texts of their grammar

Needs `make build/tools/schema` and the package jsonschema. Exits with 1 if the grammar takes an invalid
value, or if it forbids a valid one in `real` and `fuzz`, whose values are written as the grammar writes them.
"""
import collections
import decimal
import json
import pathlib
import random
import re
import subprocess
import sys
import time

import jsonschema

import schema_maker

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/tools/schema"
GOLDENS = ROOT / "tests/goldens/schemas"
# Sentences that say that no value meets a schema.
EMPTY = ["no value", "no number", "no text", "excludes", "exclude", "excluded", "false stands", "above", "does not fit"]
# What the maker may combine although it is refused by name.
UNSUPPORTED = ["combines two 'contains'", "'not' is not supported with"]
DRAFTS = {"2020-12": jsonschema.Draft202012Validator, "7": jsonschema.Draft7Validator}


def multiple_of(validator, step, instance, schema):
    """The specification's rule. The package divides floats, so that 0.3 is no multiple of 0.1."""
    if isinstance(instance, bool) or not isinstance(instance, (int, float, decimal.Decimal)):
        return
    decimal.getcontext().prec = 700
    if decimal.Decimal(str(instance)) % decimal.Decimal(str(step)) != 0:
        yield jsonschema.ValidationError(f"{instance} is not a multiple of {step}")


def known_format(validator, name, instance, schema):
    """A format takes the texts that the maker knows, and no others."""
    if isinstance(instance, str) and instance not in schema_maker.FORMATS.get(name, [instance]):
        yield jsonschema.ValidationError(f"{instance} is no {name}")


def judge(schema, draft="2020-12", **keywords):
    return jsonschema.validators.extend(DRAFTS[draft], {"multipleOf": multiple_of, **keywords})(schema)


class Tool:
    """build/tools/schema as a running program."""

    def __init__(self):
        self.process = subprocess.Popen([TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        encoding="utf-8", errors="surrogateescape")
        self.slowest, self.largest = (0, ""), 0

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"the tool died at {line[:2000]}")
        return answer[:-1]

    def compile(self, schema):
        """The reason of a refusal, or None."""
        answer = self.ask("S" + json.dumps(schema))
        if answer.startswith("ok"):
            states, spent = map(int, answer.split()[1:])
            self.largest = max(self.largest, states)
            self.slowest = max(self.slowest, (spent, json.dumps(schema)[:300]))
            return None
        return answer[len("refused "):]

    def takes(self, value, names=()):
        return self.ask("T" + json.dumps(ordered(value, names), ensure_ascii=False, separators=(",", ":"))) == "1"

    def random_text(self, seed):
        text = self.ask(f"G{seed}")
        return None if text == "-" else text


def names_of(schema):
    """All names of properties in the order of the schema."""
    names = []
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "properties" and isinstance(value, dict):
                names += value
            names += names_of(value)
    elif isinstance(schema, list):
        for value in schema:
            names += names_of(value)
    return names


def ordered(value, names):
    """The value with its members in the order in which a grammar writes them."""
    if isinstance(value, list):
        return [ordered(one, names) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, dict):
        return value
    place = {name: i for i, name in reversed(list(enumerate(names)))}
    return {key: ordered(value[key], names) for key in sorted(value, key=lambda k: place.get(k, len(names)))}


def check_texts(tool, schema, draft, seeds):
    """Texts that the grammar takes and the judge does not."""
    wrong = []
    for seed in seeds:
        text = tool.random_text(seed)
        if text is None:
            continue
        try:
            value = json.loads(text)
            if not judge(schema, draft).is_valid(value):
                wrong.append(text)
        except re.error:
            continue  # a pattern that Python cannot read
        except ValueError:
            wrong.append(text)
    return wrong


def suite(folder, drafts):
    tool, failed = Tool(), 0
    for draft in drafts:
        count, why, bad, narrow = collections.Counter(), collections.Counter(), [], []
        for file in sorted(pathlib.Path(folder, f"draft{draft}").glob("*.json")):
            for group in json.loads(file.read_text()):
                schema, title = group["schema"], f"{file.stem}: {group['description']}"
                reason = tool.compile(schema)
                if reason is not None:
                    count["refused"] += 1
                    why[reason.split(" (")[0]] += 1
                    continue
                count["accepted"] += 1
                names = names_of(schema)
                for test in group["tests"]:
                    taken = tool.takes(test["data"], names)
                    count["values"] += 1
                    if taken and not test["valid"]:
                        bad.append(f"{title}: {test['description']}: {json.dumps(test['data'])}")
                    if not taken and test["valid"]:
                        narrow.append(f"{title}: {test['description']}: {json.dumps(test['data'])}")
                try:
                    wrong = check_texts(tool, schema, draft, range(20))
                except Exception as error:  # a reference that only the suite's server resolves
                    wrong = []
                    count["not judged: " + type(error).__name__] += 1
                bad += [f"{title}: text: {text[:100]} and {len(wrong) - 1} more" for text in wrong[:1]]
        print(f"draft {draft}: {dict(count)}, {len(bad)} invalid taken, {len(narrow)} valid forbidden")
        for line in bad:
            print("  invalid:", line)
        if "-v" in sys.argv:
            for line in narrow:
                print("  forbidden:", line)
        for reason, times in why.most_common():
            print(f"  refused {times}: {reason}")
        failed += len(bad)
    return failed


def real():
    """What real libraries write is accepted, and takes their values."""
    tool, failed, values = Tool(), 0, 0
    rows = [row for file in sorted(GOLDENS.glob("*.json")) for row in json.loads(file.read_text())]
    for row in rows:
        name, schema = row["name"], row["schema"]
        reason = tool.compile(schema)
        if reason is not None:
            failed += 1
            print(f"  refused: {name}: {reason}\n    {json.dumps(schema)}")
            continue
        names = names_of(schema) if "draft" in row else schema_maker.NAMES
        for value, valid in [(v, True) for v in row["valid"]] + [(v, False) for v in row["invalid"]]:
            values += 1
            if tool.takes(value, names) != valid:
                failed += 1
                print(f"  {'forbidden' if valid else 'taken'}: {name}: {json.dumps(value)}\n    {json.dumps(schema)}")
        for text in check_texts(tool, schema, row.get("draft", "2020-12"), range(30))[:3]:
            failed += 1
            print(f"  invalid text: {name}: {text}\n    {json.dumps(schema)}")
    print(f"real: {len(rows)} schemas, {values} values, {failed} wrong; largest {tool.largest} states, "
          f"slowest {tool.slowest[0]} us: {tool.slowest[1]}")
    return failed


def fuzz(count, seed, seconds):
    """Random schemas: the grammar takes exactly the values that the judge takes, and writes no others."""
    tool, totals, end = Tool(), collections.Counter(), time.monotonic() + seconds
    for number in range(count):
        if time.monotonic() > end:
            break
        r = random.Random(seed * 1_000_003 + number)
        schema, draw = schema_maker.make(r)
        totals["schemas"] += 1
        checker = judge(schema)
        values = [value for value in (draw(r) for _ in range(16)) if schema_maker.is_plain(value)]
        surely = judge(schema, format=known_format)
        valid = [checker.is_valid(value) for value in values]
        # A text that may be of a format or not is no case.
        values = [value for value, ok in zip(values, valid) if surely.is_valid(value) == ok]
        valid = [checker.is_valid(value) for value in values]
        reason = tool.compile(schema)
        if reason is not None:
            # A random schema may have no value at all, but then none was drawn.
            totals["refused"] += 1
            named = any(word in reason for word in UNSUPPORTED)
            if not named and (any(valid) or not any(word in reason for word in EMPTY)):
                totals["wrong"] += 1
                print(f"  refused: {reason}\n    {json.dumps(schema)}\n    {json.dumps(values[valid.index(True)]) if any(valid) else ''}")
            continue
        for value, ok in zip(values, valid):
            totals["valid" if ok else "invalid"] += 1
            if tool.takes(value, schema_maker.NAMES) != ok:
                totals["wrong"] += 1
                print(f"  {number} {'forbidden' if ok else 'taken'}: {json.dumps(value)}\n    {json.dumps(schema)}")
        texts = check_texts(tool, schema, "2020-12", range(8))
        totals["texts"] += 8
        for text in texts[:1]:
            totals["wrong"] += 1
            print(f"  {number} invalid text: {text}\n    {json.dumps(schema)}")
    print(f"fuzz: {dict(totals)}; largest {tool.largest} states, slowest {tool.slowest[0]} us: {tool.slowest[1]}")
    return totals["wrong"]


def corpus(count, seed):
    """Random schemas with judged values, for the unit tests, which have no judge."""
    rows = []
    while len(rows) < count:
        seed += 1
        r = random.Random(seed)
        schema, draw = schema_maker.make(r)
        loose, surely = judge(schema), judge(schema, format=known_format)
        row = {"name": f"random {seed}", "schema": schema, "valid": [], "invalid": []}
        for value in (draw(r) for _ in range(12)):
            if schema_maker.is_plain(value) and loose.is_valid(value) == surely.is_valid(value):
                list_ = row["valid" if loose.is_valid(value) else "invalid"]
                value = ordered(value, schema_maker.NAMES)
                if value not in list_ and len(list_) < 4:
                    list_.append(value)
        if row["valid"] and row["invalid"] and len(json.dumps(row)) < 1500:
            rows.append(row)
    lines = ",\n".join(json.dumps(row) for row in rows)
    (GOLDENS / "random.json").write_text(f"[\n{lines}\n]\n")
    return 0


def main():
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    words = [word for word in sys.argv[2:] if word != "-v"]
    if verb == "suite" and words:
        return suite(words[0], words[1:] or list(DRAFTS))
    if verb == "real":
        return real()
    if verb == "corpus":
        return corpus(250, 1)
    if verb == "fuzz":
        count, seed, seconds = (list(map(int, words)) + [2000, 1, 10 ** 9][len(words):])
        return fuzz(count, seed, seconds)
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(min(main(), 1))
