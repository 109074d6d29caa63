#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Stands where llama-server stands, so that llama.cpp's own tests of its server run against the twin.

It takes llama-server's options and starts the twin with those that mean the same; what the twin has no option for is left out,
and what it cannot serve (adapters, pictures, tools of its own) ends with status 1 and a line. A chat template is written into
a copy of the model, since the twin takes it from there; a model without one gets llama-server's default, ChatML.
The tests are in the source distribution of PyPI's llama-cpp-python, in vendor/llama.cpp/tools/server/tests:
    pip download --no-deps --no-binary :all: llama-cpp-python==0.3.36      # and unpack it
Usage: cd vendor/llama.cpp/tools/server/tests; LLAMA_SERVER_BIN_PATH=…/tests/system/llama_server.py \
       MARROW_STORIES=stories260K.gguf [MARROW_ENCODER=bge-small.gguf] [MARROW_TWIN=build/host/marrow] pytest unit/test_completion.py
"""
import os
import pathlib
import sys
import tempfile

from harness import TWIN
from tiny_gguf import with_template

# llama-server's options that take a value, and what becomes of it: an option of the twin, or nothing.
VALUES = {"--port": "http.port", "--host": None, "--seed": "http.seed", "--n-predict": "http.max_tokens", "--api-key": "api_key",
          "--parallel": "requests", "--ctx-size": None, "--alias": None, "--model": None, "--hf-repo": None, "--hf-file": None,
          "--slot-save-path": None, "--temp": "http.sampling", "--batch-size": "chunk", "--ubatch-size": None, "--threads": "threads",
          "--n-gpu-layers": None, "--pooling": None, "--cors-origins": "cors", "-fa": None, "-ctk": None, "-ctv": None,
          "--reasoning-format": None, "--reasoning": None, "--cache-ram": None, "--tags": None, "--spec-type": None,
          "--spec-draft-n-max": None, "--spec-draft-n-min": None, "--chat-template": None, "--chat-template-file": None,
          "--models-max": "models.max"}
FLAGS = ["--offline", "--cont-batching", "--embedding", "--reranking", "--metrics", "--kv-unified", "--slots", "--no-slots", "--jinja",
         "--no-jinja", "--verbose", "--no-ui", "--swa-full", "--no-cache-idle-slots", "--context-shift", "--backend_sampling"]
CHATML = ("{%- for message in messages -%}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}"
          "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}")
BUILT_IN = {"chatml": CHATML}  # of llama.cpp's templates that have a name there


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
    stories = "stories260K" in repository and "infill" not in repository
    router = repository == "/"  # it has no model of its own
    found = os.environ.get("MARROW_STORIES") if stories or router else None
    if "bert-bge-small" in repository:
        found = os.environ.get("MARROW_ENCODER")
    # The tests first start each server once, to have its model fetched.
    if not found and "--offline" not in flags:
        found = os.environ["MARROW_STORIES"]
    if not found:
        sys.exit(f"there is no file for {repository}: MARROW_STORIES and MARROW_ENCODER name those that there are")
    return pathlib.Path(found).resolve()


def template_of(values: dict) -> str:
    if "--chat-template-file" in values:
        return pathlib.Path(values["--chat-template-file"]).read_text(encoding="utf-8")
    given = values.get("--chat-template", "chatml")
    if given not in BUILT_IN and " " not in given:
        sys.exit(f"llama.cpp's template '{given}' is no file: --chat-template-file takes one")
    return BUILT_IN.get(given, given)


def link_model(values: dict, flags: set) -> tuple[pathlib.Path, list[str]]:
    """The file by the name that the tests want it to have, and more names."""
    model = model_of(values, flags)
    names = sorted(values.get("--alias", model.stem).split(","))
    folder = pathlib.Path(tempfile.gettempdir()) / "marrow-llama-server" / values.get("--port", "0")
    folder.mkdir(parents=True, exist_ok=True)
    named = folder / f"{names[0]}.gguf"
    named.unlink(missing_ok=True)
    if str(model) == os.environ.get("MARROW_ENCODER"):
        named.symlink_to(model)
    else:
        named.write_bytes(with_template(model.read_bytes(), template_of(values)))
    return named, names[1:]


def main() -> None:
    values, flags = read(sys.argv[1:])
    named, more = link_model(values, flags)
    options = [f"model={named}", "admin=open", "log=error", "model.any=yes"]
    if more:
        options.append("models.alias=" + ",".join(f"{name}={named.stem}" for name in more))
    if "--context-shift" in flags:
        options.append("http.context_shift=yes")
    if values.get("--reasoning") == "off":
        options.append("http.think=no")
    if values.get("--n-predict", "").startswith("-"):
        del values["--n-predict"]  # no limit
    values.setdefault("--cors-origins", "*")
    if "--api-key" not in values:
        options += ["auth=none", f"http.bind={values.get('--host', '127.0.0.1')}"]
    slots = int(values.get("--parallel", 1))
    if "--ctx-size" in values:  # of all slots together, unless they share it
        options.append(f"context={int(values['--ctx-size']) // (1 if '--kv-unified' in flags else slots)}")
    if "--slot-save-path" in values:
        options.append(f"slots.path=/host{pathlib.Path(values['--slot-save-path']).resolve()}")
    if "--temp" in values:
        values["--temp"] = f"temperature={values['--temp']}"
    options += [f"{VALUES[name]}={value}" for name, value in values.items() if VALUES[name]]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # In the place of this program, so that who ends it ends the twin.
    twin = os.environ.get("MARROW_TWIN", str(TWIN))
    os.execv(twin, [twin, *options, "run=serve"])


if __name__ == "__main__":
    main()
