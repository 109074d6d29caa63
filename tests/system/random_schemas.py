#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random JSON schemas through a running server: every finished answer must be valid.

Usage: random_schemas.py [--base URL] [--count 200] [--seed 1]. Needs the PyPI package jsonschema.
Strings and lists are bounded in the schemas, so that every answer can end within its tokens.
"""
import argparse
import json
import random
import sys
import urllib.request

import jsonschema

NAMES = ["name", "age", "ok", "tags", "price", "city", "kind", "note", "id", "size"]
PATTERNS = ["^[A-Z]{2}[0-9]{2}$", "^(a|b)+$", "^\\d{1,3}\\.\\d{2}$", "^[a-f]{1,4}-x?$"]


def schema(r, depth=0):
    kinds = ["string", "integer", "number", "boolean", "null", "enum", "const", "pattern", "format"]
    if depth < 3:
        kinds += ["object", "object", "object", "array", "array", "anyOf", "types"]
    kind = r.choice(kinds) if depth else r.choice(["object", "object", "array", "anyOf"])
    if kind == "string":
        low = r.randint(0, 4)
        return {"type": "string", "minLength": low, "maxLength": low + r.randint(0, 8)}
    if kind in ("integer", "number"):
        low, high = sorted((r.randint(-2000, 2000), r.randint(-2000, 2000)))
        bounds = [{}, {"minimum": low}, {"maximum": high}, {"minimum": low, "maximum": high},
                  {"exclusiveMinimum": low, "maximum": high + 1}]
        return {"type": kind, **r.choice(bounds)}
    if kind in ("boolean", "null"):
        return {"type": kind}
    if kind == "enum":
        return {"enum": r.sample(["a", "b c", 1, 2.5, None, True, "\u00e9", "\"q\""], r.randint(1, 4))}
    if kind == "const":
        return {"const": r.choice(["x", 7, {"k": [1]}, [], None])}
    if kind == "pattern":
        return {"type": "string", "pattern": r.choice(PATTERNS[:1] + PATTERNS[2:])}
    if kind == "format":
        return {"type": "string", "format": r.choice(["date", "time", "uuid", "ipv4"])}
    if kind == "array":
        low = r.randint(0, 2)
        return {"type": "array", "items": schema(r, depth + 1), "minItems": low, "maxItems": low + r.randint(0, 2)}
    if kind == "anyOf":
        return {"anyOf": [schema(r, depth + 1) for _ in range(r.randint(1, 3))]}
    if kind == "types":
        return {"type": ["boolean", "null"]}
    names = r.sample(NAMES, r.randint(0, 4))
    return {"type": "object", "properties": {n: schema(r, depth + 1) for n in names},
            "required": [n for n in names if r.random() < 0.6], "additionalProperties": False}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", default="http://127.0.0.1:8080")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-tokens", type=int, default=1200)
    arguments = parser.parse_args()
    valid = cut = wrong = tokens = 0
    for number in range(arguments.count):
        r = random.Random(arguments.seed * 100_000 + number)
        wanted = schema(r)
        body = {"messages": [{"role": "user", "content": "Make up an example."}], "seed": number,
                "temperature": r.choice([0, 0.8, 1.5]), "max_completion_tokens": arguments.max_tokens,
                "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": wanted}}}
        request = urllib.request.Request(arguments.base + "/v1/chat/completions", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        try:
            answer = json.load(urllib.request.urlopen(request, timeout=300))
        except urllib.error.HTTPError as error:
            wrong += 1
            print(f"#   schema {number}: {error.read().decode()[:300]}\n#   {json.dumps(wanted)}")
            continue
        choice, tokens = answer["choices"][0], tokens + answer["usage"]["completion_tokens"]
        if choice["finish_reason"] != "stop":
            cut += 1
            print(f"#   schema {number} was cut: {choice['message']['content'][-100:]!r}")
            continue
        try:
            jsonschema.validate(json.loads(choice["message"]["content"]), wanted)
            valid += 1
        except (ValueError, jsonschema.ValidationError) as error:
            wrong += 1
            print(f"#   schema {number}: {str(error)[:200]}\n#   {json.dumps(wanted)}\n#   {choice['message']['content']}")
    print(f"{'ok' if valid == arguments.count else 'not ok'} 1 - random_schemas # {valid} valid, {cut} cut, "
          f"{wrong} wrong, {tokens} tokens\n1..1")
    return 0 if valid == arguments.count else 1


if __name__ == "__main__":
    sys.exit(main())
