#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The program `llm` with this server as one of its extra OpenAI models, at its command line.

Usage: llm_client.py [--base http://127.0.0.1:8080] [--only NAME], or --twin PROGRAM --model FILE.gguf
Needs the PyPI package llm (0.36). Prints TAP; exit status 1 on failure.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from serving import Place, suite_exit, test


class Context(Place):
    def __init__(self, base):
        super().__init__(base)
        self.folder = tempfile.TemporaryDirectory()  # the program's own files, instead of the person's
        row = {"model_id": "marrow", "model_name": self.model(), "api_base": base + "/v1", "supports_tools": True, "supports_schema": True}
        # JSON is YAML, too.
        (pathlib.Path(self.folder.name) / "extra-openai-models.yaml").write_text(json.dumps([row]))

    def call(self, *words, text="", status=0):
        environment = {**os.environ, "LLM_USER_PATH": self.folder.name, "OPENAI_API_KEY": "none"}
        done = subprocess.run([sys.executable, "-m", "llm", *words], input=text, env=environment, capture_output=True, text=True, timeout=300,
                              check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + (done.stderr if status else "")

    def ask(self, *words, **more):
        return self.call("-m", "marrow", "-o", "temperature", "0", "-o", "max_tokens", "12", *words, **more)


@test
def lists_the_model(c):
    assert "marrow" in c.call("models", "list")


@test
def prompt_and_stream(c):
    assert c.ask("Say hello.").strip() and c.ask("Say hello.") == c.ask("Say hello.", "--no-stream")


@test
def system_and_input(c):
    assert c.ask("-s", "Count the words.", text="one two three").strip()


@test
def goes_on(c):
    c.ask("Say hello.")
    assert c.ask("-c", "Again.").strip()
    log = json.loads(c.call("logs", "list", "--json", "-n", "1"))
    assert log[0]["input_tokens"] > 0 and log[0]["output_tokens"] > 0


@test
def schema(c):
    made = json.loads(c.call("-m", "marrow", "-o", "temperature", "0", "-o", "max_tokens", "80", "--schema", "capital bool, rank int", "Describe Oslo."))
    assert isinstance(made["capital"], bool) and isinstance(made["rank"], int)


@test
def tools(c):
    c.ask("-T", "llm_version", "Which version?")


@test
def errors(c):
    text = c.ask("-o", "top_p", "0.5", "-o", "seed", "5", text="word " * 60_000, status=1)
    assert "context" in text, text


if __name__ == "__main__":
    suite_exit("llm", Context)
