#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Stands where llama-server stands, so that llama.cpp's own tests of its server run against the twin.

It takes llama-server's options and starts the twin with those that mean the same; what the twin has no option for is left out,
and what it cannot serve (adapters, pictures, a template of its own, several servers behind one) ends with status 1 and a line.
Usage: LLAMA_SERVER_BIN_PATH=tests/system/llama_server.py MARROW_STORIES=stories260K.gguf [MARROW_ENCODER=bge-small.gguf] \
       [MARROW_TWIN=build/host/marrow] pytest llama.cpp/tools/server/tests/unit/test_completion.py
"""
import os
import pathlib
import sys
import tempfile

from harness import TWIN

# llama-server's options that take a value, and what becomes of it: an option of the twin, or nothing.
VALUES = {"--port": "http.port", "--host": None, "--seed": "http.seed", "--n-predict": "http.token_limit", "--api-key": "api_key",
          "--parallel": "requests", "--ctx-size": None, "--alias": None, "--model": None, "--hf-repo": None, "--hf-file": None,
          "--slot-save-path": None, "--temp": None, "--batch-size": "chunk", "--ubatch-size": None, "--threads": "threads",
          "--n-gpu-layers": None, "--pooling": None, "--cors-origins": "cors", "-fa": None, "-ctk": None, "-ctv": None,
          "--reasoning-format": None, "--reasoning": None, "--cache-ram": None, "--tags": None, "--spec-type": None,
          "--spec-draft-n-max": None, "--spec-draft-n-min": None}
FLAGS = ["--offline", "--cont-batching", "--embedding", "--reranking", "--metrics", "--kv-unified", "--slots", "--no-slots", "--jinja",
         "--no-jinja", "--verbose", "--no-ui", "--swa-full", "--no-cache-idle-slots", "--context-shift"]


def read(arguments: list[str]) -> tuple[dict, set]:
    values, flags = {}, set()
    words = iter(arguments)
    for word in words:
        if word in VALUES:
            values[word] = next(words)
        elif word in FLAGS:
            flags.add(word)
        else:
            sys.exit(f"the twin has nothing for llama-server's {word}")
    return values, flags


def model_of(values: dict, flags: set) -> pathlib.Path:
    repository = values.get("--hf-repo", "") + "/" + values.get("--hf-file", "")
    found = os.environ.get("MARROW_STORIES") if "stories260K" in repository and "infill" not in repository else None
    if "bert-bge-small" in repository:
        found = os.environ.get("MARROW_ENCODER")
    # The tests first start each server once, to have its model fetched.
    if not found and "--offline" not in flags:
        found = os.environ["MARROW_STORIES"]
    if not found:
        sys.exit(f"there is no file for {repository}: MARROW_STORIES and MARROW_ENCODER name those that there are")
    return pathlib.Path(found).resolve()


def main() -> None:
    values, flags = read(sys.argv[1:])
    model = model_of(values, flags)
    # The name of a model is that of its file.
    folder = pathlib.Path(tempfile.gettempdir()) / "marrow-llama-server"
    folder.mkdir(exist_ok=True)
    named = folder / f"{values.get('--alias', model.stem)}.gguf"
    named.unlink(missing_ok=True)
    named.symlink_to(model)
    options = [f"model={named}", "admin=open", "log=error"]
    if "--api-key" not in values:
        options += ["auth=none", f"http.bind={values.get('--host', '127.0.0.1')}"]
    slots = int(values.get("--parallel", 1))
    if "--ctx-size" in values:  # of all slots together, unless they share it
        options.append(f"context={int(values['--ctx-size']) // (1 if '--kv-unified' in flags else slots)}")
    if "--slot-save-path" in values:
        options.append(f"slots.path=/host{pathlib.Path(values['--slot-save-path']).resolve()}")
    options += [f"{VALUES[name]}={value}" for name, value in values.items() if VALUES[name]]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # In the place of this program, so that who ends it ends the twin.
    twin = os.environ.get("MARROW_TWIN", str(TWIN))
    os.execv(twin, [twin, *options, "run=serve"])


if __name__ == "__main__":
    main()
