#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one built fuzz target over its kept corpus and then for some seconds: fuzz_corpus.py NAME [SECONDS]

The kept corpus is tests/fuzz/corpus/NAME (small, committed); new finds stay in build/.
"""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Parsers of files from anywhere are fuzzed for longer, the others for some seconds.
LONGER = {"gguf", "llama2c", "template", "grammar", "tokenizer"}
ONE_INPUT = 25  # seconds; an input takes less than one on a quiet machine, so more is a hang on a busy one, too


def main() -> None:
    name = sys.argv[1]
    usual = "8" if name in LONGER else "2"
    seconds = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("FUZZ_SECONDS", usual)
    grown = ROOT / "build/fuzz/corpus" / name
    grown.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, ROOT / "scripts/fuzz_seeds.py", name, grown], check=True)
    crashes = ROOT / "build/fuzz/crashes"
    crashes.mkdir(parents=True, exist_ok=True)
    command = [str(ROOT / "build/fuzz" / name), f"-max_total_time={seconds}", f"-timeout={ONE_INPUT}",
               "-rss_limit_mb=2048", f"-artifact_prefix={crashes}/{name}-", str(grown)]
    kept = ROOT / "tests/fuzz/corpus" / name
    if kept.is_dir():
        command.append(str(kept))
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    print("1 passed, 0 failed" if status == 0 else "0 passed, 1 failed")
    sys.exit(status)


if __name__ == "__main__":
    main()
