#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs every client's suite against every server: the hosted twin, and the booted kernel behind two network cards.

Usage: client_suites.py [--places host,virtio,e1000e] [--suites openai,pydantic-ai,curl] [--only CASE]
                        [--model FILE.gguf] [--guest-model FILE.gguf] [--arch aarch64]
Clients: PyPI's openai, anthropic, ollama, pydantic, jsonschema, pydantic-ai-slim[openai], instructor, langchain-openai,
langchain-ollama, llm (of $CLIENT_PYTHON), PyPI's litellm with mcp (of $LITELLM_PYTHON), npm's openai, ai, @ai-sdk/openai and zod (in the
folder $NODE_FOLDER), curl, and the requests of programs that speak Ollama without a client; the suites tell the versions that they were written for. Prints a table of client and case by place; exit
status 1 when anything failed or no client was found. Emulated guests are slow: a tiny --guest-model is best.
"""
import argparse
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from harness import MODEL, TWIN
from serving import guest, twin

HERE = pathlib.Path(__file__).resolve().parent
CARDS = {"virtio": "virtio-net-pci", "e1000e": "e1000e"}


def python(variable: str) -> str:
    return os.environ.get(variable) or sys.executable


def has_modules(interpreter: str, *names: str) -> bool:
    return not names or subprocess.run([interpreter, "-c", "import " + ", ".join(names)], capture_output=True,
                                       check=False).returncode == 0


# (the suite's name, the variable that names its interpreter, its file, the modules that it needs)
PYTHON_SUITES = [
    ("openai", "CLIENT_PYTHON", "openai_clients.py", ["openai", "pydantic", "jsonschema"]),
    ("anthropic", "CLIENT_PYTHON", "anthropic_client.py", ["anthropic", "pydantic"]),
    ("pydantic-ai", "CLIENT_PYTHON", "pydantic_ai_client.py", ["pydantic_ai.models.openai"]),
    ("ollama", "CLIENT_PYTHON", "ollama_client.py", ["ollama"]),
    ("ollama-programs", "CLIENT_PYTHON", "ollama_programs_client.py", []),
    ("instructor", "CLIENT_PYTHON", "instructor_client.py", ["instructor", "openai"]),
    ("langchain-openai", "CLIENT_PYTHON", "langchain_openai_client.py", ["langchain_openai"]),
    ("langchain-ollama", "CLIENT_PYTHON", "langchain_ollama_client.py", ["langchain_ollama"]),
    ("llm", "CLIENT_PYTHON", "llm_client.py", ["llm"]),
    ("litellm", "LITELLM_PYTHON", "litellm_client.py", ["litellm"]),
]
# (the suite's name, its file, the packages that it needs)
NODE_SUITES = [("node", "openai_node.mjs", ["openai"]), ("ai-sdk", "ai_sdk_client.mjs", ["ai", "@ai-sdk/openai", "zod"])]
ALL = [name for name, *_ in PYTHON_SUITES + NODE_SUITES] + ["curl"]


def suites() -> dict:
    """Maps the name of each installed client to (command without its URL, folder)."""
    found = {}
    for name, variable, file, modules in PYTHON_SUITES:
        if has_modules(python(variable), *modules):
            found[name] = ([python(variable), str(HERE / file), "--base"], ".")
    folder = os.environ.get("NODE_FOLDER", ".")
    for name, file, packages in NODE_SUITES:
        if shutil.which("node") and all((pathlib.Path(folder) / "node_modules" / package).exists() for package in packages):
            found[name] = (["node", str(HERE / file)], folder)
    if shutil.which("curl"):
        found["curl"] = ([sys.executable, str(HERE / "curl_client.py"), "--base"], ".")
    return found


def run_suite(command: list, folder: str, base: str, only: str) -> dict:
    """Maps each case to "ok" or "FAIL"; prints the messages of failed cases."""
    more = ["--only", only] if only else []
    done = subprocess.run([*command, base, *more], cwd=folder, capture_output=True, text=True, timeout=3600, check=False)
    verdicts = {m[2]: "ok" if m[1] == "ok" else "FAIL"
                for m in re.finditer(r"^(ok|not ok) \d+ - (\S+)", done.stdout, re.M)}
    notes = [line for line in done.stdout.splitlines() if line.startswith("#")]
    if "FAIL" in verdicts.values():
        notes += ["#   " + line for line in done.stderr.splitlines()[-20:]]
    print("\n".join(notes), end="\n" if notes else "")
    if not verdicts:
        print(done.stdout[-2000:] + done.stderr[-2000:])
        verdicts = {pathlib.Path(command[-2] if command[-1] == "--base" else command[-1]).stem: "FAIL"}
    return verdicts


def server(place: str, options):
    if place == "host":
        return twin(TWIN, options.model)
    return guest(CARDS[place], options.guest_model, arch=options.arch)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--places", default="host,virtio,e1000e")
    parser.add_argument("--suites", default=",".join(ALL))
    parser.add_argument("--only", default="")
    parser.add_argument("--model", default=str(MODEL))
    parser.add_argument("--guest-model", default=str(MODEL))
    parser.add_argument("--arch", default="", choices=("x86_64", "aarch64"), help="of the guests' kernel (else MARROW_KERNEL)")
    parser.add_argument("--base", help="a running server instead (it wants http.queue=12)")
    options = parser.parse_args()
    places = ["base"] if options.base else options.places.split(",")
    here = suites()
    for name in set(options.suites.split(",")) - set(here):
        print(f"{name}: not installed, left out")
    table = {}
    for place in places:
        given = contextlib.nullcontext((options.base, None)) if options.base else server(place, options)
        with given as (base, _):
            for name in (n for n in options.suites.split(",") if n in here):
                start = time.time()
                print(f"{place}: {name}", flush=True)
                for case, verdict in run_suite(*here[name], base, options.only).items():
                    table.setdefault(case, {})[place] = verdict
                print(f"{place}: {name} took {time.time() - start:.0f} s", flush=True)
    print(f"{'':44}" + "".join(f"{place:>8}" for place in places))
    for case, row in table.items():
        print(f"{case:44}" + "".join(f"{row.get(place, '-'):>8}" for place in places))
    verdicts = [v for row in table.values() for v in row.values()]
    print(f"{verdicts.count('ok')} passed, {verdicts.count('FAIL')} failed")
    return 1 if "FAIL" in verdicts or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
