#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks the parts of wiki/Style a script can see. Usage: check_style.py [--self-test]

Formatting is clang-format's, naming and function length are clang-tidy's (make check runs both).
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAX_LINES = 600

CODE = (".cpp", ".h", ".asm", ".S", ".c")
SCRIPT = (".py", ".sh")


def head_fault(path: str, lines: list[str]) -> str | None:
    """The first line (the second after #!) is the licence; the next one says what the file is for."""
    first = 1 if lines and lines[0].startswith("#!") else 0
    if len(lines) <= first + 1 or "SPDX-License-Identifier: GPL-2.0-or-later" not in lines[first]:
        return f"{path}:{first + 1}: no SPDX licence line at the head"
    if path.endswith(CODE) and not re.match(r"\s*(//|;|#|/\*) ?\S", lines[first + 1]):
        return f"{path}:{first + 2}: no sentence at the head that says what the file is for"
    return None


# pattern, what to say; applied to each line of code and scripts
LINE_RULES = [
    (re.compile(r"[ \t]+$"), "trailing blanks"),
    (re.compile(r"\b(TODO|FIXME|XXX)\b"), "unfinished work belongs in an issue, not in a comment"),
    (re.compile(r"\|\| true( |$)"), "a check that cannot fail"),
    (re.compile(r"#include \"\.\.?/"), "include from the repository root"),
    (re.compile(r"^\s*#\s*if 0"), "dead code"),
    (re.compile(r"\bthread_local\b"), "thread_local is not to be had in the kernel"),
    (re.compile(r"^\t"), "tabs (2 spaces in code, 4 in Python)"),
]
NAME = re.compile(r"^[a-z0-9_]+(\.[a-z0-9_]+)*(\.S)?$")
# A comment that begins so has no subject and no verb of its own: "Of a step's buffers." A question may.
FRAGMENT = re.compile(r"\s*(?://|;) *(Of|Who|Whoever|Whose|What|Which|Whether)\b")


def mirror_fault(path: str, text: str) -> str | None:
    """Hosted tests lie in the folder of what they test; a file with tests ends in _test.cpp."""
    if not path.startswith("tests/hosted/"):
        return None
    room, name = path.removeprefix("tests/hosted/").rpartition("/")[::2]
    if room and not (ROOT / room).is_dir():
        return f"{path}: no folder {room}/ that these tests could be of"
    has_tests = re.search(r"^TEST\(", text, re.M) is not None
    if not room and name.startswith("test_"):
        return None  # shared by several folders, and may have tests of itself
    if has_tests and not (room and name.endswith("_test.cpp")):
        return f"{path}: tests belong in a file *_test.cpp in the folder of what they test"
    if not has_tests and name.endswith("_test.cpp"):
        return f"{path}: a file *_test.cpp without a TEST"
    return None


def fragment_faults(path: str, lines: list[str]) -> list[str]:
    """Finds comments of whole lines that begin as a fragment and whose first sentence is no question."""
    faults = []
    for number, line in enumerate(lines):
        if not (begin := FRAGMENT.match(line)):
            continue
        if number > 1 and re.match(r"\s*(//|;)", lines[number - 1]):
            continue  # inside a block; line 1 follows the licence and begins one
        block = []
        for more in lines[number:]:
            if not re.match(r"\s*(//|;)", more):
                break
            block.append(more.strip().lstrip("/; "))
        sentence = re.match(r".*?[.?!](?= |$)", " ".join(block))
        if not sentence or not sentence[0].endswith("?"):
            faults.append(f"{path}:{number + 1}: a comment begins with '{begin[1]}': give it a subject and a verb")
    return faults


def faults_of(path: str, text: str) -> list[str]:
    faults = []
    lines = text.split("\n")
    if not text.endswith("\n"):
        faults.append(f"{path}: no newline at the end")
    if path.endswith(CODE + SCRIPT):
        if fault := head_fault(path, lines):
            faults.append(fault)
        # Tables are exempt: a file that says so in its head is data, not code.
        if len(lines) - 1 > MAX_LINES and "A table:" not in "\n".join(lines[:4]):
            faults.append(f"{path}: {len(lines) - 1} lines; at most {MAX_LINES}")
        for number, line in enumerate(lines, 1):
            for pattern, message in LINE_RULES:
                if pattern.search(line) and path != "scripts/check_style.py":
                    faults.append(f"{path}:{number}: {message}")
        if not NAME.match(path.rsplit("/", 1)[-1]):
            faults.append(f"{path}: file names are snake_case")
    if path.endswith(CODE):
        faults += fragment_faults(path, lines)
    # A header that others include inside their own namespace, once each, says so in its head.
    if path.endswith(".h") and "#pragma once" not in text and "Included by" not in "\n".join(lines[:5]):
        faults.append(f"{path}: no #pragma once")
    if fault := mirror_fault(path, text):
        faults.append(fault)
    return faults


def setup_faults(rules: str, setup: str) -> list[str]:
    """Each target that `make help` names stands in a row of setup.mk, or a bare machine lacks its tools."""
    rows = re.sub(r"\\\n", " ", setup)
    named = {word for row in re.findall(r"^NEEDS_\w+ := (.*)", rows, re.M) for word in row.split()}
    targets = re.findall(r"^([a-z0-9_-]+):.*##", rules, re.M)
    return [f"scripts/mk/setup.mk: `{t}` is in no NEEDS row: which packages does it need?"
            for t in targets if t not in named]


def make_files() -> tuple[str, str]:
    rules = [ROOT / "Makefile", *sorted((ROOT / "scripts/mk").glob("*.mk"))]
    return "".join(p.read_text() for p in rules), (ROOT / "scripts/mk/setup.mk").read_text()


def tracked() -> list[str]:
    run = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
                         capture_output=True, text=True, check=True)
    return [p for p in run.stdout.split("\n") if p.endswith(CODE + SCRIPT) and (ROOT / p).exists()]


def self_test() -> None:
    """Each rule, with a planted fault, must be found."""
    head = "// SPDX-License-Identifier: GPL-2.0-or-later\n// Purpose.\n"
    planted = [
        ("a.cpp", "int x;\n"),
        ("a.cpp", "// SPDX-License-Identifier: GPL-2.0-or-later\nint x;\n"),
        ("a.h", head + "int x;\n"),
        ("a.cpp", head + "int x; \n"),
        ("a.cpp", head + "// TO" + "DO later\n"),
        ("a.sh", "#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0-or-later\n# x\nls || tr" + "ue\n"),
        ("a.cpp", head + '#include "../x.h"\n'),
        ("a.cpp", head + "#if 0\n#endif\n"),
        ("a.cpp", head + "int x;\n" * MAX_LINES),
        ("BadName.cpp", head + "int x;\n"),
        ("a.cpp", head + "int x;"),
        ("tests/hosted/ai/nowhere/a_test.cpp", head + "TEST(a, b) {}\n"),
        ("tests/hosted/a_test.cpp", head + "TEST(a, b) {}\n"),
        ("tests/hosted/ai/engine/a.cpp", head + "TEST(a, b) {}\n"),
        ("tests/hosted/ai/engine/a_test.cpp", head + "int x;\n"),
        ("a.cpp", head + "\n// Of a step's buffers.\nint x;\n"),
        ("a.cpp", head + "int x;\n  // Whether there were any.\n  // Any more?\n"),
        ("a.cpp", head.replace("Purpose", "What a page holds")),
    ]
    missed = [p for p in planted if not faults_of(*p)]
    good = not faults_of("a.h", head + "#pragma once\n// Which is older? The first.\n// Two lines,\n// Of one block.\nint x;\n")
    if not setup_faults("new: x  ## does it\nold:  ## y\n", "NEEDS_test := a \\\n  old\n"):
        missed.append(("setup.mk", "a target without a row"))
    good = good and not setup_faults("old:  ## y\n", "NEEDS_test := a \\\n  old\n")
    planted.append(("setup.mk", ""))
    for case in missed:
        print(f"self-test: not found: {case}")
    print(f"style self-test: {len(planted) - len(missed) + good} passed, {len(missed) + (not good)} failed")
    sys.exit(1 if missed or not good else 0)


def main() -> None:
    if "--self-test" in sys.argv:
        self_test()
    files = tracked()
    faults = [fault for path in files for fault in faults_of(path, (ROOT / path).read_text(errors="replace"))]
    faults += setup_faults(*make_files())
    print("\n".join(faults) if faults else f"style: {len(files)} files, no fault")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
