#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows that each tool of `make check` can fail: plants a fault for it and expects a refusal.

Usage: check_tools.py CLANG_TIDY GCC_FLAGS -- CLANG_SAN_FLAGS   (the flags the build uses)
"""
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

# (name, source, how the tool must refuse it)
FORMAT = "int  main( ){return 0;}\n"
TIDY = "int BadName(int x) { return x; }\n"
WARNING = "int f() { int unused; return 0; }\n"
FLOAT_IN_KERNEL = "double half(double x) { return x / 2; }\n"
RESULT = '#include "kernel/base/result.h"\nResult<void> f();\nvoid g() { %s; }\n'
ASAN = "#include <cstdlib>\nint main(int c, char**) { char* p = (char*)std::malloc(4); return p[c + 3]; }\n"
UBSAN = "int main(int c, char**) { int big = 2147483647; return big + c > 0; }\n"
INDEX = "#include <array>\nint main(int c, char**) { std::array<int, 2> a{}; return a[c + 1]; }\n"


def runs(command: list[str], **options) -> bool:
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          **options).returncode == 0


def main() -> None:
    clang_tidy, split = sys.argv[1], sys.argv.index("--")
    gcc, clang = [[*flags, "-Werror"] for flags in (sys.argv[2:split], sys.argv[split + 1:])]
    with tempfile.TemporaryDirectory() as folder:
        def file(name: str, text: str) -> str:
            path = pathlib.Path(folder) / name
            path.write_text(text)
            return str(path)

        def builds_and_runs(name: str, text: str) -> bool:
            program = f"{folder}/{name}"
            if not runs(["clang++-19", *clang, file(name + ".cpp", text), "-o", program]):
                sys.exit(f"check_tools: {name} does not even build")
            return runs([program])

        def drops_result(compiler: str, *flags: str) -> bool:
            """Returns whether a call that drops its Result compiles. One that drops it on purpose must."""
            on_purpose, dropped = (file(name, RESULT % call) for name, call in
                                   (("kept.cpp", "static_cast<void>(f())"), ("dropped.cpp", "f()")))
            if not runs([compiler, *flags, "-c", on_purpose, "-o", f"{folder}/r.o"]):
                sys.exit(f"check_tools: {compiler} refuses a Result that is dropped on purpose")
            return runs([compiler, *flags, "-c", dropped, "-o", f"{folder}/r.o"])

        config = f"--style=file:{ROOT / '.clang-format'}"
        results = {
            "clang-format": runs(["clang-format-19", config, "--dry-run", "-Werror", file("a.cpp", FORMAT)]),
            "clang-tidy": runs([clang_tidy, "--quiet", f"--config-file={ROOT / '.clang-tidy'}",
                                file("b.cpp", TIDY), "--", "-std=c++23"]),
            "g++ warnings": runs(["g++-12", *gcc, "-c", file("c.cpp", WARNING), "-o", f"{folder}/c.o"]),
            "clang warnings": runs(["clang++-19", *clang, "-c", file("d.cpp", WARNING), "-o", f"{folder}/d.o"]),
            "no float in the kernel": runs(["g++-12", *gcc, "-c", file("e.cpp", FLOAT_IN_KERNEL), "-o", f"{folder}/e.o"]),
            "g++: a dropped Result": drops_result("g++-12", *gcc),
            "clang: a dropped Result": drops_result("clang++-19", *clang),
            "AddressSanitizer": builds_and_runs("asan", ASAN),
            "UBSan": builds_and_runs("ubsan", UBSAN),
            "checked indices": builds_and_runs("index", INDEX),
        }
    for name, passed in results.items():
        if passed:
            print(f"check_tools: {name} did not notice the planted fault")
    missed = sum(results.values())
    print(f"tools self-test: {len(results) - missed} passed, {missed} failed")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
