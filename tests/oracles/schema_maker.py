# SPDX-License-Identifier: GPL-2.0-or-later
"""Random JSON schemas in the form that programs write them, with values that may or may not meet them.

make(r) returns a schema and a function that draws a value. Most values are valid; jsonschema judges them. A
value is written in the form that a grammar has: names in the schema's order, no other names in closed objects,
numbers of few digits.
"""
import string

NAMES = ["name", "age", "ok", "tags", "price", "city", "kind", "note", "id", "size", "a b", "quo\"te", "é"]
WORDS = ["", "a", "b c", "é", "\"q\"", "back\\slash", "line\nend", "😀", "0", "true", "xyzzy"]
# A pattern, and texts around its edge.
PATTERNS = [
    ("^[A-Z]{2}[0-9]{2}$", ["AB12", "ZZ00", "A12", "AB123", "ab12"]),
    ("^(a|b)+$", ["a", "abba", "", "abc"]),
    ("^\\d{1,3}\\.\\d{2}$", ["1.25", "123.00", "1.2", "1234.00"]),
    ("^[a-f]{1,4}-x?$", ["a-", "abcd-x", "abcde-", "-x"]),
    ("b.d", ["bad", "xbodx", "bd", "b d"]),
    ("^(?!no)[a-z]*$", ["yes", "no", "nothing", "n", ""]),
    ("^(?=.*\\d)(?=.*[a-z]).{2,}$", ["a1", "1a2b", "aa", "11", "a"]),
    ("^[^\"\\\\]*$", ["plain", "quo\"te", "back\\", ""]),
    ("^$|^x", ["", "x", "xyz", "y"]),
    ("(foo|bar)$", ["foo", "xbar", "food", "ba"]),
    ("^a{2,}b{0,2}$", ["aa", "aaabb", "ab", "aabbb"]),
    ("^\\w+\\s\\w+$", ["a b", "a  b", "ab", "a\tb"]),
    ("^P(?=\\d)(\\d+D)?$", ["P1D", "P", "PD"]),
]
FORMATS = {
    "date": ["2024-02-29", "1999-12-31"], "time": ["12:30:00Z", "23:59:59.5+02:00"], "uuid": ["123e4567-e89b-12d3-a456-426614174000"],
    "date-time": ["2024-02-29T00:00:00Z"], "ipv4": ["1.2.3.4", "255.0.0.255"], "ipv6": ["::1", "fe80::1:2"],
    "email": ["a.b@example.com"], "uri": ["https://example.com/a?b=c"], "hostname": ["example.com"], "duration": ["P1DT2H", "PT5M"],
}


def is_plain(value):
    """Numbers without an exponent and with few digits, names in the order of a grammar."""
    if isinstance(value, list):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(map(is_plain, value.values()))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    text = repr(value)
    return "e" not in text and len(text.strip("-").replace(".", "")) <= 12 and not text.startswith("-0.0")


def integers(r):
    low = r.choice([r.randint(-20, 20), r.randint(-2000, 2000), -2 ** 53 + 1, 0, 10 ** 9 + 7])
    span = r.choice([0, 1, 7, 100, 12345, 2 ** 53])
    schema = {"type": "integer"}
    keyword = r.choice(["minimum", "exclusiveMinimum", None])
    if keyword:
        schema[keyword] = low
    if r.random() < 0.7:
        schema[r.choice(["maximum", "exclusiveMaximum"])] = low + span + 2
    step = r.choice([None, None, None, 2, 3, 7, 10, 100, 12, 0.5])
    if step:
        schema["multipleOf"] = step

    def draw(r):
        value = r.choice([low + r.randint(-2, span + 4), low, low + 1, low + span + 2, r.randint(-30, 30)])
        if step and r.random() < 0.7:
            value = int(value // step * step)
        return value
    return schema, draw


def numbers(r):
    places = r.choice([0, 1, 2, 3])
    low = r.randint(-500, 500)
    low, high = low / 10 ** places, (low + r.randint(1, 400)) / 10 ** places
    schema = {"type": "number"}
    if r.random() < 0.7:
        schema[r.choice(["minimum", "exclusiveMinimum"])] = low
    if r.random() < 0.7:
        schema[r.choice(["maximum", "exclusiveMaximum"])] = high
    step = r.choice([None, None, 0.5, 0.25, 0.01, 2, 1.5])
    if step:
        schema["multipleOf"] = step

    def draw(r):
        value = r.choice([low, high, round(r.uniform(low - 1, high + 1), r.choice([0, 1, 2, 3])), r.randint(-60, 60)])
        return round(round(value / step) * step, 3) if step and r.random() < 0.8 else value
    return schema, draw


def strings(r):
    kind = r.choice(["plain", "length", "pattern", "pattern and length", "two patterns", "format", "not"])
    low = r.randint(0, 4)
    length = {"minLength": low, "maxLength": low + r.randint(0, 6)}
    first, second = r.choice(PATTERNS), r.choice(PATTERNS)
    form = r.choice(sorted(FORMATS))
    schema = {"plain": {}, "length": length, "pattern": {"pattern": first[0]},
              "pattern and length": {"pattern": first[0], **length},
              "two patterns": {"allOf": [{"pattern": first[0]}, {"pattern": second[0]}]},
              "format": {"format": form}, "not": {"not": {"enum": ["a", "xyzzy"]}}}[kind]
    words = FORMATS[form] if kind == "format" else WORDS + first[1] + second[1]

    def draw(r):
        if kind != "format" and r.random() < 0.3:
            return "".join(r.choice(string.ascii_lowercase + "19AZ -.é\"") for _ in range(r.randint(0, 12)))
        return r.choice(words)
    return {"type": "string", **schema}, draw


def listed(r):
    values = r.sample(["a", "b c", 1, 2.5, None, True, "é", "\"q\"", [1, 2], {"k": [1]}], r.randint(1, 5))
    if len(values) == 1 and r.random() < 0.5:
        return {"const": values[0]}, lambda r: r.choice(values + ["z"])
    schema = {"enum": values}
    if r.random() < 0.3:
        schema["type"] = r.choice(["string", ["string", "null"], "number"])
    return schema, lambda r: r.choice(values + ["z", 7])


def arrays(r, depth):
    kind = r.choice(["items", "items", "tuple", "old tuple", "unique", "set", "set", "contains", "both"])
    item, draw_item = make(r, depth + 1)
    other, draw_other = make(r, depth + 1)
    low = r.randint(0, 2)
    most = low + r.randint(0, 2)

    def several(r):
        return [draw_item(r) for _ in range(max(0, r.randint(low - 1, most + 1)))]
    if kind == "items":
        return {"type": "array", "items": item, "minItems": low, "maxItems": most}, several
    if kind == "tuple":
        return {"type": "array", "prefixItems": [item, other], "items": False, "minItems": 2}, lambda r: [draw_item(r), draw_other(r)]
    if kind == "old tuple":
        return ({"type": "array", "prefixItems": [item], "items": other, "minItems": 1},
                lambda r: [draw_item(r)] + [draw_other(r) for _ in range(r.randint(0, 2))])
    if kind == "unique":
        values = r.sample(["a", "b", "c", 1, None], r.randint(1, 5))
        return ({"type": "array", "items": {"enum": values}, "uniqueItems": True, "maxItems": most + 1},
                lambda r: [r.choice(values) for _ in range(r.randint(0, most + 1))])
    if kind == "set":
        def twice(r):
            list_ = several(r)
            return list_ + list_[:1] if r.random() < 0.3 else list_
        return {"type": "array", "items": item, "uniqueItems": True, "maxItems": most + 2}, twice
    if kind == "contains":
        return ({"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "contains": {"minimum": 5},
                 "minContains": r.randint(0, 2), "maxItems": 4}, lambda r: [r.randint(0, 9) for _ in range(r.randint(0, 4))])
    return {"type": "array", "allOf": [{"items": item, "maxItems": most + 1}, {"minItems": low}]}, several


def objects(r, depth):
    names = sorted(r.sample(NAMES, r.randint(1, 4)), key=NAMES.index)
    parts = {name: make(r, depth + 1) for name in names}
    properties = {name: parts[name][0] for name in names}
    required = [name for name in names if r.random() < 0.5]
    schema = {"type": "object", "properties": properties, "required": required}
    extra = r.choice(["closed", "closed", "open", "pattern", "counts", "dependent", "all", "one", "not", "if", "names", "unevaluated"])
    more = lambda r: {}
    if extra == "closed":
        schema["additionalProperties"] = False
    elif extra == "open":
        rest, draw_rest = make(r, depth + 1)
        schema["additionalProperties"] = rest
        more = lambda r: {name: draw_rest(r) for name in r.sample(["x", "yy", "na", "names"], r.randint(0, 2))}
    elif extra == "pattern":
        rest, draw_rest = make(r, depth + 1)
        schema.update(patternProperties={"^x-": rest}, additionalProperties=False)
        more = lambda r: {name: draw_rest(r) for name in r.sample(["x-", "x-1", "x-é"], r.randint(0, 2))}
    elif extra == "counts":
        low = r.randint(0, len(names))
        schema.update(minProperties=low, maxProperties=r.randint(low, len(names)), additionalProperties=False)
    elif extra == "dependent":
        schema.update(dependentRequired={names[0]: [names[-1]]}, additionalProperties=False)
    elif extra == "all":
        schema = {"allOf": [{"type": "object", "properties": {name: properties[name] for name in names[:2]}, "required": required},
                            {"type": "object", "properties": {name: properties[name] for name in names[1:]}}],
                  "unevaluatedProperties": False}
    elif extra == "one":
        schema.update(required=[], oneOf=[{"required": [name]} for name in names[:2]], additionalProperties=False)
    elif extra == "not":
        schema.update(required=[], additionalProperties=False, **{"not": {"required": [names[0]]}})
    elif extra == "if":
        schema.update({"if": {"required": [names[0]]}, "then": {"required": [names[-1]]}, "else": {"maxProperties": 2}, "additionalProperties": False})
    elif extra == "names":
        schema = {"type": "object", "propertyNames": {"pattern": "^[a-z]+$"}, "additionalProperties": properties[names[0]]}
        draw_any = parts[names[0]][1]
        return schema, lambda r: {name: draw_any(r) for name in r.sample(["k", "kk", "zz", "K"], r.randint(0, 3))}
    else:
        schema = {"allOf": [{"properties": properties}], "type": "object", "required": required, "unevaluatedProperties": False}

    def draw(r):
        keep = [name for name in names if name in required or r.random() < 0.6]
        if r.random() < 0.1 and keep:
            keep.pop(r.randrange(len(keep)))
        return {**{name: parts[name][1](r) for name in keep}, **more(r)}
    return schema, draw


def choices(r, depth):
    kind = r.choice(["any", "any", "types", "tagged", "beside", "nullable"])
    branches = [make(r, depth + 1) for _ in range(r.randint(1, 3))]

    def one(r):
        return r.choice(branches)[1](r)
    if kind == "types":
        return {"type": ["boolean", "null", "integer"]}, lambda r: r.choice([True, None, 5, "x"])
    if kind == "tagged":
        tags = ["t1", "t2", "t3"][:len(branches)]
        schema = {"oneOf": [{"type": "object", "properties": {"tag": {"const": tag}, "v": branch[0]}, "required": ["tag", "v"],
                             "additionalProperties": False} for tag, branch in zip(tags, branches)]}
        return schema, lambda r: {"tag": r.choice(tags + ["t9"]), "v": one(r)}
    if kind == "beside":
        return ({"type": "object", "properties": {"a": branches[0][0], "b": {"type": "null"}}, "additionalProperties": False,
                 "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
                lambda r: {**({"a": branches[0][1](r)} if r.random() < 0.5 else {}), **({"b": None} if r.random() < 0.5 else {})})
    if kind == "nullable":
        return {"anyOf": [branches[0][0], {"type": "null"}]}, lambda r: r.choice([None, one(r)])
    return {"anyOf": [branch[0] for branch in branches]}, one


def make(r, depth=0):
    kinds = [integers, numbers, strings, strings, listed]
    if depth == 0:
        kinds = []
    if depth < 3:
        kinds = kinds + [lambda r: arrays(r, depth), lambda r: objects(r, depth), lambda r: objects(r, depth),
                         lambda r: choices(r, depth)]
    return r.choice(kinds)(r)
