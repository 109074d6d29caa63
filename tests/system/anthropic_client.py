#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Anthropic's official Python client against a running server's /v1/messages.

Usage: anthropic_client.py [--base http://127.0.0.1:8080] [--only NAME], or --twin PROGRAM --model FILE.gguf
Needs the PyPI packages anthropic and pydantic. Prints TAP; exit status 1 on failure.
"""
import concurrent.futures
import threading
import typing

import anthropic
import pydantic

from serving import Place, expect_error, suite_exit, test

ADD = {"name": "add", "description": "Adds", "input_schema": {
    "type": "object", "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 999}}, "required": ["a"],
    "additionalProperties": False}}


class Context(Place):
    def __init__(self, base):
        super().__init__(base)
        self.client = anthropic.Anthropic(base_url=base, api_key="none", timeout=300, max_retries=0)
        self.name = self.model()

    def options(self, text="Say hello.", **more):
        return {"model": self.name, "max_tokens": 6, "extra_body": {"temperature": 0},
                "messages": [{"role": "user", "content": text}], **more}

    def ask(self, text="Say hello.", retries=0, **more):
        return self.client.with_options(max_retries=retries).messages.create(**self.options(text, **more))


@test
def message(c):
    answer = c.ask(system="Be kind.")
    assert answer.content[0].text and answer.stop_reason in ("max_tokens", "end_turn")
    assert answer.role == "assistant" and answer.usage.input_tokens + answer.usage.cache_read_input_tokens > 0
    assert answer.usage.output_tokens > 0


@test
def stream(c):
    with c.client.messages.stream(**c.options()) as events:
        text = "".join(events.text_stream)
        whole = events.get_final_message()
    assert text == whole.content[0].text == c.ask().content[0].text
    assert whole.usage.output_tokens > 0 and whole.stop_reason


@test
def content_blocks_and_turns(c):
    answer = c.client.messages.create(model=c.name, max_tokens=4, system=[{"type": "text", "text": "Be brief."}], messages=[
        {"role": "user", "content": [{"type": "text", "text": "Say "}, {"type": "text", "text": "hi."}]},
        {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Again."}])
    assert answer.content[0].text is not None


@test
def count_tokens(c):
    asked = c.options()
    counted = c.client.messages.count_tokens(model=c.name, messages=asked["messages"]).input_tokens
    usage = c.ask().usage
    assert counted == usage.input_tokens + usage.cache_read_input_tokens


@test
def stop_sequences(c):
    whole = c.ask(max_tokens=12).content[0].text
    cut = whole[len(whole) // 2:len(whole) // 2 + 3]
    answer = c.ask(max_tokens=12, stop_sequences=[cut])
    assert answer.content[0].text == whole[:whole.index(cut)], (answer.content[0].text, whole, cut)


@test
def tools(c):
    for choice in ({"type": "any"}, {"type": "tool", "name": "add"}):
        used = c.ask("Add 2.", tools=[ADD], tool_choice=choice, max_tokens=120)
        assert used.stop_reason == "tool_use" and isinstance(used.content[0].input["a"], int)


@test
def tools_streamed_and_answered(c):
    asked = c.options("Add 2.", tools=[ADD], tool_choice={"type": "any"}, max_tokens=120)
    with c.client.messages.stream(**asked) as events:
        used = events.get_final_message()
    call = used.content[0]
    assert used.stop_reason == "tool_use" and call.name == "add" and isinstance(call.input["a"], int)
    answer = c.client.messages.create(model=c.name, max_tokens=4, tools=[ADD], messages=[
        *asked["messages"], {"role": "assistant", "content": [call.model_dump(include={"type", "id", "name", "input"})]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "3"}]}])
    assert answer.stop_reason


@test
def parse(c):
    class City(pydantic.BaseModel):
        capital: bool
        rank: typing.Literal[1, 2, 3]  # the client leaves bounds of numbers out of the schema

    answer = c.client.messages.parse(**c.options("Describe Paris.", max_tokens=60), output_format=City)
    assert isinstance(answer.parsed_output, City)


@test
def errors(c):
    expect_error(anthropic.BadRequestError, lambda: c.ask(max_tokens=0))
    error = expect_error(anthropic.BadRequestError, lambda: c.ask("word " * 60000))
    assert error.body["type"] == "error" and "context" in error.body["error"]["message"]
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
    expect_error(anthropic.BadRequestError, lambda: c.ask([image]))


@test
def retries(c):
    with c.full_queue():
        expect_error(anthropic.RateLimitError, c.ask)
        assert c.ask(retries=8).content
    c.wait_idle()


@test
def abort_then_next(c):
    with c.client.messages.stream(**c.options("Count to a thousand.", max_tokens=500)) as events:
        next(iter(events.text_stream))
    c.wait_idle(5)
    assert c.ask().content


@test
def eight_streams(c):
    gate = threading.Barrier(8)

    def one(i):
        gate.wait()
        patient = c.client.with_options(max_retries=5)  # an emulator's forwarded port resets connections of a burst
        with patient.messages.stream(**c.options(f"Count from {i}.")) as events:
            return "".join(events.text_stream)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(8)))


if __name__ == "__main__":
    suite_exit("anthropic", Context)
