#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A draft model on the hosted twin: the same bytes with it, what is shown of it, and why one is not used."""
import concurrent.futures
import contextlib
import json
import pathlib
import re
import subprocess
import tempfile
import urllib.request

import serving
from harness import MODEL, TWIN, case, check, main, need

PROMPT = "Once upon a time, in a land far away,"
REQUESTS = [
    {"prompt": PROMPT, "n_predict": 40, "temperature": 0},
    {"prompt": PROMPT, "n_predict": 40, "temperature": 0.8, "seed": 5},
    {"prompt": PROMPT, "n_predict": 40, "temperature": 1.2, "seed": 6, "mirostat": 2},
    {"prompt": PROMPT, "n_predict": 24, "grammar": 'root ::= "The " [a-z ]+', "seed": 7},
    {"prompt": PROMPT, "n_predict": 40, "stop": [" the"], "seed": 8},
]


@contextlib.contextmanager
def twins():
    """The model and the same file under another name, as its draft model."""
    need(MODEL, "make model")
    with tempfile.TemporaryDirectory() as folder:
        same = pathlib.Path(folder) / "small.gguf"
        same.symlink_to(pathlib.Path(MODEL).resolve())
        yield str(same)


def console(*words: str) -> str:
    done = subprocess.run([TWIN, "context=512", "ntp=off", f"model={MODEL}", *words,
                           f"run=model info; llm {PROMPT} 30; status; perf; poweroff"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
    check(done.returncode == 0, done.stdout + done.stderr)
    return done.stdout + done.stderr


def answer_of(text: str) -> str:
    return re.search(r"--- output ---\n(.*)\n--- end ---", text, re.DOTALL).group(1)


@case
def shown_and_same_text():
    """`model info`, `status` and `perf` name the draft model and its memory; the answer is the same without it"""
    with twins() as draft:
        text = console(f"draft={draft}")
    check("draft model   small guesses tokens for it" in text, text)
    check(re.search(r"draft model +[\d.]+ MiB\n", text), text)
    check(re.search(r"\ndraft     small, [\d.]+ MiB\n", text), text)
    found = re.search(r"draft model +(\d+) of (\d+) accepted of those it guessed, off for \d+ tokens", text)
    check(found and int(found[1]) <= int(found[2]), text)
    plain = console("speculate=no")
    check("draft model" not in plain, plain)
    check(answer_of(text) == answer_of(plain), f"{answer_of(text)}\n{answer_of(plain)}")


@case
def refused_ones_are_explained():
    """a draft model that is missing, the model itself, too large or not wanted: the model works and says why"""
    with twins() as draft:
        for words, reason in (((f"draft={MODEL}",), "it is the model itself: name a smaller one"),
                              (("draft=/no/such.gguf",), "no such model"),
                              ((f"draft={draft}", "models.mb=200"), "it does not fit into memory beside the model"),
                              ((f"draft={draft}", "speculate=no"), "guessing is switched off (speculate=no)")):
            text = console(*words)
            check(len(re.findall(re.escape(f"is not used: {reason}"), text)) == 2, text)
            check("works without the draft model" in text and "--- end ---" in text, text)


def ask(base: str, body: dict) -> str:
    request = urllib.request.Request(f"{base}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)["content"]


@case
def same_bytes_together():
    """requests of all kinds, served at once, give the same bytes with a draft model and without"""
    options = "auth=none admin=open log=error context=512 "
    with twins() as draft:
        found = []
        for more in ("speculate=no", f"draft={draft}"):
            with serving.twin(str(TWIN), str(MODEL), options + more) as (base, _), \
                    concurrent.futures.ThreadPoolExecutor() as pool:
                found.append(list(pool.map(lambda body, base=base: ask(base, body), REQUESTS)))
                with urllib.request.urlopen(f"{base}/health", timeout=60) as health:
                    bytes_of_draft = json.load(health)["memory"]["draft_bytes"]
                check((bytes_of_draft > 0) == ("draft=" in more), f"{more}: {bytes_of_draft} bytes")
    check(found[0] == found[1], json.dumps(found, indent=1))


main()
