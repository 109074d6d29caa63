#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Ollama's official Python client against a running server's /api routes.

Usage: ollama_client.py [--base http://127.0.0.1:8080] [--only NAME], or --twin PROGRAM --model FILE.gguf
Needs the PyPI package ollama (0.6.3). Prints TAP; exit status 1 on failure.
"""
import datetime
import json
import math

import ollama

from serving import Place, expect_error, suite_exit, test

GREEDY = {"temperature": 0, "num_predict": 8}
SAY = [{"role": "user", "content": "Say hello."}]


class Context(Place):
    def __init__(self, base):
        super().__init__(base)
        self.client = ollama.Client(host=base, timeout=300)
        self.name = self.client.list().models[0].model

    def chat(self, messages=None, **more):
        more.setdefault("options", GREEDY)
        return self.client.chat(model=self.name, messages=messages or SAY, **more)


def refused(status, call):
    error = expect_error(ollama.ResponseError, call)
    assert error.status_code == status, f"{error.status_code}: {error.error}"
    return error.error


@test
def lists_and_shows(c):
    model = c.client.list().models[0]
    assert model.model.endswith(":latest") and model.size > 1000 and len(model.digest) == 64
    assert model.details.format == "gguf" and model.details.family and model.details.parameter_size
    assert isinstance(model.modified_at, datetime.datetime)
    shown = c.client.show(model.model)
    assert "completion" in shown.capabilities and shown.modelinfo["general.architecture"] == model.details.family
    assert all(len(line.split()) >= 2 for line in shown.parameters.split("\n"))
    running = c.client.ps().models[0]
    assert running.model == model.model and running.context_length > 0 and running.expires_at is not None
    assert all(int(part) >= 0 for part in json.loads(c.get("/api/version"))["version"].split("."))


@test
def chat(c):
    answer = c.chat()
    assert answer.message.content and answer.message.role == "assistant" and answer.done
    assert answer.done_reason in ("stop", "length") and answer.model == c.name
    assert answer.prompt_eval_count > 0 and answer.eval_count > 0 and answer.total_duration >= answer.eval_duration > 0


@test
def chat_stream(c):
    parts = list(c.chat(stream=True))
    assert parts[-1].done and not any(part.done for part in parts[:-1]) and len(parts) > 2
    assert "".join(part.message.content for part in parts) == c.chat().message.content


@test
def chat_is_the_one_of_the_other_api(c):
    """The same bytes as /v1/chat/completions gives for the same parameters."""
    other = json.loads(c.post("/v1/chat/completions", {"model": c.name, "messages": SAY, "temperature": 0, "max_tokens": 8}))
    assert c.chat().message.content == other["choices"][0]["message"]["content"]
    seeded = {"num_predict": 12, "temperature": 1, "seed": 7}
    assert c.chat(options=seeded).message.content == c.chat(options=seeded).message.content


@test
def generate(c):
    answer = c.client.generate(model=c.name, prompt="Say hello.", options=GREEDY)
    assert answer.response == c.chat().message.content and len(answer.context) > 4
    parts = list(c.client.generate(model=c.name, prompt="Say hello.", options=GREEDY, stream=True))
    assert "".join(part.response for part in parts) == answer.response
    more = c.client.generate(model=c.name, prompt="And again.", context=answer.context, options=GREEDY)
    assert more.prompt_eval_count > answer.prompt_eval_count
    raw = c.client.generate(model=c.name, prompt="Once upon a time", raw=True, options=GREEDY)
    assert raw.response and raw.context is None


@test
def tools(c):
    def add(a: int, b: int) -> int:
        """Adds two numbers.

        Args:
          a: the first
          b: the second
        """
        return a + b
    history = [{"role": "user", "content": "What is 2 + 3?"},
               {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 2, "b": 3}}}]},
               {"role": "tool", "tool_name": "add", "content": "5"}]
    assert c.chat(tools=[add]).done
    assert c.chat(history, tools=[add]).message.content is not None
    assert list(c.chat(tools=[add], stream=True))[-1].done


@test
def formats(c):
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}, "n": {"type": "integer", "minimum": 0, "maximum": 99}},
              "required": ["ok", "n"], "additionalProperties": False}
    long = {"temperature": 0, "num_predict": 60}
    answer = json.loads(c.chat(format=schema, options=long).message.content)
    assert isinstance(answer["ok"], bool) and 0 <= answer["n"] <= 99
    text = "".join(part.message.content for part in c.chat(format=schema, options=long, stream=True))
    assert json.loads(text) == answer
    assert c.chat(format="json", options=GREEDY).message.content.lstrip().startswith("{")


@test
def logprobs(c):
    answer = c.chat(logprobs=True, top_logprobs=2)
    assert len(answer.logprobs) == answer.eval_count and len(answer.logprobs[0].top_logprobs) == 2
    assert all(entry.logprob <= 0 for entry in answer.logprobs)


@test
def embeddings(c):
    answer = c.client.embed(model=c.name, input=["hello", "the sea"])
    assert len(answer.embeddings) == 2 and answer.prompt_eval_count > 0
    for vector in answer.embeddings:
        assert abs(math.sqrt(sum(x * x for x in vector)) - 1) < 1e-3
    assert list(c.client.embed(model=c.name, input="hello").embeddings[0]) == list(answer.embeddings[0])
    assert len(c.client.embed(model=c.name, input="hello", dimensions=8).embeddings[0]) == 8
    assert list(c.client.embeddings(model=c.name, prompt="hello").embedding) == list(answer.embeddings[0])


@test
def errors(c):
    assert "not found" in refused(404, lambda: c.client.chat(model="no-such-model", messages=SAY))
    assert "not found" in refused(404, lambda: c.client.show("no-such-model"))
    refused(404, lambda: list(c.client.generate(model="no-such-model", prompt="x", stream=True)))
    assert refused(400, lambda: c.chat(options={"seed": "x"})) == 'option "seed" must be of type integer'
    assert "does not support thinking" in refused(400, lambda: c.chat(think=True))
    picture = [{"role": "user", "content": "What is it?", "images": ["iVBORw0KGgo="]}]
    assert "does not support images" in refused(400, lambda: c.chat(picture))
    assert "exceeds the context length" in refused(400, lambda: c.chat([{"role": "user", "content": "word " * 20000}]))
    for call in (lambda: c.client.delete(c.name), lambda: c.client.copy(c.name, "b"),
                 lambda: c.client.push("a/b"), lambda: c.client.create(model="x", from_=c.name)):
        assert "file" in refused(501, call)
    # test_pull.py pulls what can be pulled.
    assert "ollama:MODEL:TAG" in refused(400, lambda: c.client.pull("a/b/c/d"))


@test
def load_and_keep(c):
    loaded = c.client.generate(model=c.name, keep_alive="1h30m")
    assert loaded.done_reason == "load"
    # By the server's clock: a guest without a time server does not know the time of day.
    stays = c.client.ps().models[0].expires_at - datetime.datetime.fromisoformat(loaded.created_at)
    assert datetime.timedelta(hours=1) < stays < datetime.timedelta(hours=2)
    assert c.client.chat(model=c.name, messages=[], keep_alive=-1).done_reason == "load"
    assert c.client.ps().models[0].expires_at.year > 2300


@test
def abort_then_next(c):
    stream = c.chat(options={"num_predict": 4000, "temperature": 1}, stream=True)
    next(stream)
    stream.close()
    c.wait_idle()
    assert c.chat().done


@test
def unload_and_load_again(c):
    """Last: it is loaded again by the request that names it."""
    assert c.client.generate(model=c.name, keep_alive=0).done_reason == "unload"
    assert c.client.ps().models == []
    answer = c.chat()
    assert answer.message.content and answer.load_duration > 0
    # By choice again, so that who names no model has one.
    c.post("/v1/models/load", {"model": c.name.removesuffix(":latest")})


if __name__ == "__main__":
    suite_exit("ollama", Context)
