# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes random chat templates of what real ones use, and random conversations for them.

Left out is what wiki/Engine.md names as different: range() as a text, texts marked as safe, rare filters.
make(r) returns the pieces of a template, which is their concatenation: any of them may be left out to make a
smaller one. conversation(r) returns the variables. `r` is a random.Random; the same state gives the same result.
"""

WORDS = ["", "a", "user", "assistant", "system", "tool", "hello world", "x-y", "two  spaces", " padded ", "\n", "line\nline\n\nlast", "</think>",
         "<think>deep</think>\n\nanswer", "ünï çödé", "😀 ok", "It's", 'say "hi"', "both ' and \"", "tab\there", "back\\slash", "<|im_start|>",
         "a,b,,c", "42", "-7", "3.5", "UPPER lower", "ǆ ß ŉ", "{{ x }}", "{% raw %}", "&<>", "\u2028", "e\u0301", "foo foo foo", "\r\n", "0"]
SPACES = ["", "", " ", "\n", "\n\n", "  ", "\n  ", "  \n", "\t", "text", "text\n", " text ", "<s>", "}", "{ ", "%", "# ", "\n    x\n"]
TEXT_FILTERS = ["upper", "lower", "title", "capitalize", "trim", "string", "reverse", "first", "last", "indent", "list | join",
                "indent(2)", "indent(2, true)", "indent(width=3, blank=true)", "indent(first=true)", "trim('x ')", "default('d')", "d('d', true)",
                "list | first", "replace('a', 'b')", "replace('o', '', 1)", "replace(' ', '')", "unique | join", "sort | join", "map('upper') | join('-')",
                "select | join", "format"]
TEXT_METHODS = ["strip()", "lstrip()", "rstrip()", "strip('\\n')", "lstrip('< ')", "rstrip('x')", "upper()", "lower()", "title()", "capitalize()",
                "replace('a', 'bb')", "replace('l', '', 1)", "removeprefix('a')", "removesuffix('\\n')", "replace('', '-')", "replace('', '-', 2)",
                "center(8)", "center(9, '*')", "ljust(6, '.')", "rjust(6)", "split(None, 1)[-1]", "partition('x')[0]", "rpartition('</think>')[2]", "split('</think>')[-1]", "split('</think>')[0]",
                "partition('</think>')[2]", "rpartition(' ')[0]", "split(',', 1)[-1]", "rsplit(None, 1)[0]"]
LIST_FILTERS = ["list", "reverse | list", "sort", "unique | list", "map('string') | list", "map('upper') | list", "select | list", "reject('none') | list",
                "select('string') | list", "map('length') | list", "sort(reverse=true)", "map('tojson') | list", "select('defined') | list",
                "select('in', ['a', 'user']) | list", "map('default', 'x') | list", "list | sort(case_sensitive=true)"]
MESSAGE_FILTERS = ["selectattr('role', 'equalto', 'user')", "rejectattr('role', 'eq', 'system')", "selectattr('content')", "selectattr('tool_calls', 'defined')",
                   "rejectattr('tool_calls')", "selectattr('role', 'in', ['user', 'tool'])", "selectattr('content', 'string')",
                   "rejectattr('content', 'none')", "select('mapping')", "selectattr('role', '!=', 'tool')", "reverse", "selectattr('name', 'undefined')"]
TESTS = ["defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "number", "integer", "float", "boolean", "true", "false",
         "not none", "not defined", "not string", "callable", "lower", "upper", "eq(1)", "ne 'a'", "in ['a', 1, none]", "sameas(none)", "sameas true",
         "not mapping", "not iterable", "filter", "test"]
NUMBER_TESTS = ["odd", "even", "divisibleby 3", "divisibleby(2)", "gt 1", "lt(3)", "ge 0", "le 2", "greaterthan 1", "lessthan 5"]
JSON_STYLES = ["", "", "(indent=2)", "(ensure_ascii=false)", "(sort_keys=true)", "(separators=(',', ':'))"]
FORMATS = ["%d %B %Y", "%Y-%m-%d", "%A, %H:%M", "%b %e", "%j", "%%", "%y%m%d", "%I %p"]


def quoted(r, text):
    """A literal of the template's language for a text."""
    mark = r.choice("'\"")
    out = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t").replace(mark, "\\" + mark)
    return mark + out + mark


class Maker:
    """Expressions and statements; `depth` left bounds how they nest."""

    def __init__(self, r):
        self.r = r
        self.known = {"text": ["bos_token", "eos_token", "word"], "number": ["count"], "list": ["mixed", "words"], "dict": ["table"],
                      "truth": ["add_generation_prompt", "enable_thinking"], "any": ["tools", "missing", "documents", "half"], "space": []}
        self.messages, self.loops, self.macros, self.serial = ["messages[0]", "messages[-1]"], 0, [], 0

    def pick(self, *makers):
        return self.r.choice(makers)()

    def name(self, kind):
        return self.r.choice(self.known[kind])

    def fresh(self, prefix):
        self.serial += 1
        return f"{prefix}{self.serial % 5}"

    def message(self):
        return self.r.choice(self.messages)

    # ---- expressions
    def any(self, d):
        if d <= 0 or self.r.random() < 0.1:
            return self.pick(lambda: self.name("any"), lambda: self.text(0), lambda: self.number(0), lambda: "none", lambda: "undefined_name")
        return self.r.choice([self.text, self.text, self.number, self.truth, self.list, self.dict])(d)

    def text(self, d):
        r = self.r
        if d <= 0 or r.random() < 0.15:
            return self.pick(lambda: quoted(r, r.choice(WORDS)), lambda: self.name("text"), lambda: self.message() + r.choice([".role", "['role']", ".content"]))
        d -= 1
        return self.pick(
            lambda: f"{self.text(d)} ~ {self.any(d)}",
            lambda: f"{self.text(d)} + {self.text(d)}",
            lambda: f"({self.text(d)}) | {r.choice(TEXT_FILTERS)}",
            lambda: f"({self.text(d)}).{r.choice(TEXT_METHODS)}",
            lambda: f"({self.text(d)})[{self.slice(d)}]",
            lambda: f"({self.text(d)})[{self.number(0)}]",
            lambda: f"({self.any(d)}) | tojson{r.choice(JSON_STYLES)}",
            lambda: f"({self.text(d)} if {self.truth(d)} else {self.text(d)})",
            lambda: f"({self.text(d)} if {self.truth(d)})",
            lambda: f"{self.list(d)} | join({quoted(r, r.choice(WORDS))})",
            lambda: f"{quoted(r, r.choice(WORDS))}.join({self.list(d)} | map('string'))",
            lambda: "messages | map(attribute='role') | join(', ')",
            lambda: f"({self.any(d)}) | string",
            lambda: f"({self.any(d)}) | default({self.text(0)}{r.choice(['', ', true', ', boolean=true'])})",
            lambda: f"({self.text(d)}) * {r.randrange(3)}",
            lambda: f"strftime_now({quoted(r, r.choice(FORMATS))})",
            lambda: f"{self.message()}.get({quoted(r, r.choice(['role', 'name', 'content']))}, {self.text(0)})",
            lambda: f"'%s' | format({self.text(0)})" if r.random() < .2 else f"({self.text(d)})",
            lambda: f"'{{}}-{{}}'.format({self.text(0)}, {self.number(0)})" if r.random() < .2 else f"({self.text(d)})",
            self.macro_call)

    def macro_call(self):
        if not self.macros:
            return self.text(0)
        name, count = self.r.choice(self.macros)
        given = [self.text(0) for _ in range(self.r.randint(0, count))]
        if given and self.r.random() < 0.3:
            given[-1] = f"p{len(given) - 1}={given[-1]}"
        return f"{name}({', '.join(given)})"

    def number(self, d):
        r = self.r
        if d <= 0 or r.random() < 0.2:
            return self.pick(lambda: str(r.randint(-2, 5)), lambda: self.name("number"),
                             lambda: "loop." + r.choice(["index", "index0", "revindex", "revindex0", "length", "depth", "depth0"]) if self.loops else str(r.randint(0, 9)))
        d -= 1
        return self.pick(
            lambda: f"({self.number(d)} {r.choice(['+', '-', '*', '//', '%'])} {self.number(d)})",
            lambda: f"{self.list(d)} | length",
            lambda: f"({self.text(d)}) | {r.choice(['length', 'int', 'count', 'int(7)', 'int(default=3)'])}",
            lambda: f"({self.text(d)}).{r.choice(['find', 'count', 'rfind'])}({self.text(0)})",
            lambda: f"[{self.number(0)}, {self.number(0)}, 3] | {r.choice(['sum', 'max', 'min', 'first', 'last'])}",
            lambda: f"({self.number(d)}) | {r.choice(['abs', 'int', 'string | length'])}",
            lambda: f"-{self.number(0)}" if r.random() < .3 else f"{r.randint(0, 3)} ** {r.randint(0, 3)}",
            lambda: f"({self.number(d)} if {self.truth(d)} else {self.number(d)})")

    def truth(self, d):
        r = self.r
        if d <= 0 or r.random() < 0.15:
            return self.pick(lambda: r.choice(["true", "false", "True", "False"]), lambda: self.name("truth"),
                             lambda: r.choice(["loop.first", "loop.last", "not loop.last"]) if self.loops else "tools",
                             lambda: f"{self.message()}.role == {quoted(r, r.choice(WORDS[2:6]))}")
        d -= 1
        return self.pick(
            lambda: f"{self.any(d)} {r.choice(['==', '!='])} {self.any(d)}",
            lambda: f"{self.number(d)} {r.choice(['<', '<=', '>', '>=', '=='])} {self.number(d)}",
            lambda: f"{self.text(d)} {r.choice(['in', 'not in'])} {self.text(d)}",
            lambda: f"{self.text(d)} {r.choice(['in', 'not in'])} {self.list(d)}",
            lambda: f"{quoted(r, r.choice(['role', 'k', 'a']))} in {self.dict(d)}",
            lambda: f"({self.any(d)}) is {r.choice(TESTS)}",
            lambda: f"{self.number(d)} is {r.choice(NUMBER_TESTS)}",
            lambda: f"({self.truth(d)} {r.choice(['and', 'or'])} {self.truth(d)})",
            lambda: f"not {self.truth(d)}",
            lambda: f"({self.text(d)}).{r.choice(['startswith', 'endswith'])}({self.text(0)})",
            lambda: f"({self.text(d)}).{r.choice(['isdigit', 'isalpha', 'isspace', 'isupper', 'islower', 'isalnum', 'isnumeric'])}()",
            lambda: f"{self.number(0)} < {self.number(0)} <= {self.number(0)}",
            lambda: f"({self.message()}.tool_calls is defined and {self.message()}.tool_calls)",
            lambda: f"({self.any(d)}) {r.choice(['and', 'or'])} ({self.any(d)})")

    def list(self, d):
        r = self.r
        if d <= 0 or r.random() < 0.15:
            return self.pick(lambda: self.name("list"), lambda: "[" + ", ".join(self.text(0) for _ in range(r.randint(0, 3))) + "]", lambda: "messages",
                             lambda: f"range({r.randint(0, 5)}) | list", lambda: f"({self.text(0)},)", lambda: f"({self.number(0)}, {self.text(0)})")
        d -= 1
        return self.pick(
            lambda: f"({self.list(d)})[{self.slice(d)}]",
            lambda: f"({self.list(d)} | {r.choice(LIST_FILTERS)})",
            lambda: f"(messages | {r.choice(MESSAGE_FILTERS)} | list)",
            lambda: f"(messages | {r.choice(MESSAGE_FILTERS)} | map(attribute='{r.choice(['role', 'content', 'name', 'tool_calls'])}') | list)",
            lambda: f"({self.name('any')} | {r.choice(MESSAGE_FILTERS)} | list)",
            lambda: f"({self.list(d)} + {self.list(d)})",
            lambda: f"({self.text(d)}).{r.choice(['split()', 'splitlines()', 'split(' + quoted(r, ',') + ')', 'splitlines(true)', 'rsplit(' + quoted(r, ' ') + ', 1)'])}",
            lambda: f"({self.dict(d)}){r.choice(['.items()', '.keys()', '.values()', ' | items', ' | dictsort', ' | list'])} | list",
            lambda: f"range({self.number(0)}, {self.number(0)}) | list",
            lambda: f"[{self.any(d)}, {self.any(d)}]",
            lambda: f"({self.list(d)} if {self.truth(d)} else {self.list(d)})",
            lambda: f"(tools or [])")

    def dict(self, d):
        r = self.r
        if d <= 0 or r.random() < 0.3:
            return self.pick(self.message, lambda: self.name("dict"), lambda: "{}", lambda: f"{{'k': {self.any(0)}, 'a': {self.number(0)}}}")
        return self.pick(lambda: f"{{{quoted(r, r.choice(WORDS))}: {self.any(d - 1)}, 'k': {self.any(d - 1)}}}", lambda: f"dict(a={self.any(d - 1)})",
                         lambda: f"(tools or [{{'function': {{}}}}])[0].function", lambda: f"dict({self.name('dict')}, b={self.text(0)})")

    def slice(self, d):
        r = self.r
        part = lambda: r.choice(["", "", str(r.randint(-4, 5)), self.number(0)])
        return f"{part()}:{part()}" + (f":{r.choice(['', '-1', '2', '1', '-2'])}" if r.random() < 0.3 else "")

    # ---- statements
    def open(self):
        return "{%" + self.r.choice(["", "", "-", "-", "+"])

    def close(self):
        return self.r.choice(["", "", "-", "-", "+"]) + "%}"

    def tag(self, inside):
        return f"{self.open()} {inside} {self.close()}"

    def body(self, d, most=3):
        return "".join(self.statement(d) for _ in range(self.r.randint(1, most)))

    def statement(self, d):
        r = self.r
        kinds = [self.space, self.output, self.output, self.output]
        if d > 0:
            kinds += [self.if_block, self.if_block, self.for_block, self.for_block, self.set_name, self.set_name, self.set_block, self.macro, self.call_block,
                      self.filter_block, self.raw, self.comment, self.namespace, self.messages_block, self.messages_block]
        return r.choice(SPACES) + r.choice(kinds)(d - 1)

    def space(self, d):
        return self.r.choice(SPACES)

    def output(self, d):
        r = self.r
        return "{{" + r.choice(["", "", "-"]) + f" {r.choice([self.text, self.text, self.any])(r.randint(0, 3))} " + r.choice(["", "", "-"]) + "}}"

    def if_block(self, d):
        out = self.tag("if " + self.truth(2)) + self.body(d)
        if self.r.random() < 0.3:
            out += self.tag("elif " + self.truth(2)) + self.body(d)
        if self.r.random() < 0.5:
            out += self.tag("else") + self.body(d)
        return out + self.tag("endif")

    def loop_body(self, d):
        self.loops += 1
        out = self.body(d)
        if self.r.random() < 0.15:
            out += self.tag("if " + self.truth(1)) + self.tag(self.r.choice(["break", "continue"])) + self.tag("endif") + self.body(d)
        if self.r.random() < 0.1:
            out += "{{ loop." + self.r.choice(["cycle('a', 'b')", "changed(loop.index0 // 2)", "previtem is defined", "nextitem is defined"]) + " }}"
        self.loops -= 1
        return out

    def for_block(self, d):
        r = self.r
        saved = {kind: list(names) for kind, names in self.known.items()}
        if r.random() < 0.3:
            head = f"for key, value in ({self.dict(1)}){r.choice(['.items()', ' | items', ' | dictsort'])}"
            self.known["any"] += ["key", "value"]
        else:
            name = self.fresh("item")
            head = f"for {name} in {self.list(2)}"
            self.known["any"].append(name)
        if r.random() < 0.2:
            head += " if " + self.truth(1) if "loop." not in head else ""
        out = self.tag(head) + self.loop_body(d)
        self.known = saved
        if r.random() < 0.2:
            out += self.tag("else") + self.body(d)
        return out + self.tag("endfor")

    def messages_block(self, d):
        saved = list(self.messages)
        self.messages += ["message"] * 3
        out = self.tag(f"for message in {self.r.choice(['messages', 'messages', 'messages[1:]', 'messages[::-1]', 'loop_messages | default(messages)'])}")
        out += self.loop_body(d)
        self.messages = saved
        return out + self.tag("endfor")

    def set_name(self, d):
        kind = self.r.choice(["text", "number", "list", "truth", "dict"])
        name = self.fresh(kind[0])
        value = getattr(self, kind)(2)
        self.known["any"].append(name)
        return self.tag(f"set {name} = {value}")

    def set_block(self, d):
        name = self.fresh("t")
        out = self.tag(f"set {name}{self.r.choice(['', '', ' | trim', ' | upper'])}") + self.body(d) + self.tag("endset")
        self.known["any"].append(name)
        return out

    def namespace(self, d):
        if not self.known["space"] or self.r.random() < 0.3:
            self.known["space"].append("ns")
            return self.tag(f"set ns = namespace(a={self.any(1)}, n=0)")
        return self.tag(self.r.choice([f"set ns.a = {self.any(2)}", "set ns.n = ns.n + 1"])) + "{{ ns.n }}{{ ns.a }}"

    def macro(self, d):
        r, saved, loops = self.r, {kind: list(names) for kind, names in self.known.items()}, self.loops
        name, count = self.fresh("m"), r.randint(0, 3)
        names = [f"p{i}" for i in range(count)]
        self.known["any"] += names
        self.loops = 0
        macros, self.macros = self.macros, []
        given = ", ".join(n + (f"={self.text(0)}" if i >= count - 1 and r.random() < 0.5 else "") for i, n in enumerate(names))
        out = self.tag(f"macro {name}({given})") + self.body(d) + self.tag("endmacro")
        self.known, self.loops, self.macros = saved, loops, [m for m in macros if m[0] != name] + [(name, count)]
        return out

    def call_block(self, d):
        return self.tag("macro wrap(t='w')") + "<{{ t }}>{{ caller() }}</{{ t }}>" + self.tag("endmacro") + \
            self.tag(f"call wrap({self.r.choice(['', self.text(0)])})") + self.body(d) + self.tag("endcall")

    def filter_block(self, d):
        name = self.r.choice(["upper", "trim", "indent(2)", "replace('a', 'b')", "title", "indent(2, true) | trim"])
        return self.tag(f"filter {name}") + self.body(d) + self.tag("endfilter")

    def raw(self, d):
        r = self.r
        return f"{self.open()} raw {r.choice(['', '-'])}%}}" + r.choice(["{{ x }}", " {% if %} ", "\n{# c #}\n", "", "x\n  ", "  "]) + self.tag("endraw")

    def comment(self, d):
        return "{#" + self.r.choice(["", "-"]) + self.r.choice([" comment ", " {{ x }} ", " two\nlines ", " {% if %} "]) + self.r.choice(["", "-"]) + "#}"


def make(r):
    maker = Maker(r)
    return [maker.statement(3) for _ in range(r.randint(1, 5))]


# ---- conversations

def value(r, d=2):
    if d > 0 and r.random() < 0.3:
        if r.random() < 0.5:
            return [value(r, d - 1) for _ in range(r.randint(0, 3))]
        return {r.choice(["a", "b", "k", "ü", "items", "type"]): value(r, d - 1) for _ in range(r.randint(0, 3))}
    return r.choice([None, True, False, 0, 1, -3, 12345, 0.5, 2.25, *WORDS[1:8], r.choice(WORDS)])


def call(r, number):
    return {"id": f"call{number:05}", "type": "function", "function": {
        "name": r.choice(["get_weather", "add", "f"]), "arguments": {r.choice(["city", "x", "unit"]): value(r) for _ in range(r.randint(0, 2))}}}


def message(r, role):
    out = {"role": role, "content": r.choice(WORDS)}
    if role == "assistant" and r.random() < 0.3:
        out["content"] = r.choice([None, "", "calling"])
    elif role == "user" and r.random() < 0.1:
        out["content"] = [{"type": "text", "text": r.choice(WORDS)} for _ in range(r.randint(1, 2))]
    if role == "tool" or r.random() < 0.05:
        out["name"] = r.choice(["get_weather", "Ann"])
    if role == "tool" and r.random() < 0.7:
        out["tool_call_id"] = "call00001"
    if role == "assistant" and r.random() < 0.2:
        out["reasoning_content"] = r.choice(WORDS[1:])
    if role == "assistant" and (out["content"] is None or r.random() < 0.2):
        out["tool_calls"] = [call(r, i) for i in range(r.randint(1, 2))]
    return out


def tool(r):
    names = r.sample(["city", "unit", "days", "x"], r.randint(0, 3))
    kind = lambda: r.choice([{"type": "string"}, {"type": "integer", "description": "How many"}, {"type": "array", "items": {"type": "number"}},
                             {"type": ["string", "null"]}, {"type": "string", "enum": ["a", "b"]}, {"type": "object", "properties": {"y": {"type": "boolean"}}}])
    return {"type": "function", "function": {"name": r.choice(["get_weather", "add"]), "description": r.choice(WORDS[1:]),
                                             "parameters": {"type": "object", "properties": {n: kind() for n in names}, "required": names[:1]}}}


def conversation(r):
    """A case as templates.py has them."""
    roles = ["system"] if r.random() < 0.4 else []
    for _ in range(r.randint(1, 4)):
        roles += r.choice([["user"], ["user", "assistant"], ["user", "assistant"], ["user", "assistant", "tool"], ["user", "assistant", "tool", "assistant"]])
    extra = {"enable_thinking": r.random() < 0.5, "word": r.choice(WORDS), "count": r.randint(-3, 12), "mixed": [value(r) for _ in range(r.randint(0, 4))],
             "words": r.sample(WORDS, r.randint(0, 4)), "table": {k: value(r) for k in r.sample(["a", "b", "k", "get", "role", "Zed"], r.randint(0, 4))},
             "half": r.choice([0.5, 2.0, -1.25])}
    return {"messages": [message(r, role) for role in roles], "tools": [tool(r) for _ in range(r.randint(1, 2))] if r.random() < 0.4 else None,
            "add_generation_prompt": r.random() < 0.7, "extra": extra}
