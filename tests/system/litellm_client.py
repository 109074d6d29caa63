#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""litellm against a running server, as an OpenAI-compatible provider.

Usage: litellm_client.py [--base http://127.0.0.1:8080] [--only NAME], or --twin PROGRAM --model FILE.gguf
Needs the PyPI packages litellm and mcp, which its tools import. Prints TAP; exit status 1 on failure.
"""
import asyncio
import json
import os

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # its price list is not asked for on the Internet

import litellm  # noqa: E402

from serving import Place, suite_exit, test  # noqa: E402


class Context(Place):
    def __init__(self, base):
        super().__init__(base)
        self.name = self.model()

    def options(self, text="Say hello.", **more):
        given = {"model": "openai/" + self.name, "api_base": self.base + "/v1", "api_key": "none", "timeout": 300,
                 "max_retries": 0, "max_tokens": 8, "temperature": 0,
                 "messages": [{"role": "user", "content": text}]}
        given.update(more)
        return given

    def ask(self, text="Say hello.", **more):
        return litellm.completion(**self.options(text, **more))


@test
def chat(c):
    answer = c.ask()
    assert answer.choices[0].message.content and answer.usage.completion_tokens > 0


@test
def stream(c):
    text = "".join(x.choices[0].delta.content or "" for x in c.ask(stream=True))
    assert text == c.ask().choices[0].message.content


@test
def tools(c):
    weather = {"type": "function", "function": {"name": "get_weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "maxLength": 10}}, "required": ["city"],
        "additionalProperties": False}}}
    for streamed in (False, True):
        answer = c.ask("Weather in Oslo?", tools=[weather], tool_choice="required", max_tokens=120, stream=streamed)
        if streamed:
            answer = litellm.stream_chunk_builder(list(answer))
        call = answer.choices[0].message.tool_calls[0]
        assert call.function.name == "get_weather" and "city" in json.loads(call.function.arguments)


@test
def json_schema(c):
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"],
              "additionalProperties": False}
    answer = c.ask(max_tokens=20, response_format={"type": "json_schema", "json_schema": {
        "name": "x", "strict": True, "schema": schema}})
    assert isinstance(json.loads(answer.choices[0].message.content)["ok"], bool)


@test
def logprobs_and_choices(c):
    answer = c.ask(n=2, logprobs=True, top_logprobs=2, temperature=1, seed=3)
    assert [x.index for x in answer.choices] == [0, 1]
    assert len(answer.choices[1].logprobs.content[0].top_logprobs) == 2


@test
def text_completion_and_embedding(c):
    answer = litellm.text_completion(model="text-completion-openai/" + c.name, api_base=c.base + "/v1",
                                     api_key="none", prompt="Once upon", max_tokens=3)
    assert answer.choices[0].text
    made = litellm.embedding(model="openai/" + c.name, api_base=c.base + "/v1", api_key="none", input=["hello"],
                             encoding_format="float")
    assert len(made.data[0]["embedding"]) > 8


@test
def errors(c):
    for call, kind in ((lambda: c.ask(temperature=-1), litellm.BadRequestError),
                       (lambda: c.ask("word " * 60000), litellm.ContextWindowExceededError)):
        try:
            call()
        except kind:
            continue
        raise AssertionError(f"no {kind.__name__}")


@test
def retries(c):
    """The client waits out a full queue by itself: 429 with the time to wait, then the answer."""
    with c.full_queue():
        assert c.ask(max_retries=8).choices
    c.wait_idle()


@test
def abort_then_next(c):
    answer = c.ask(stream=True, max_tokens=400)
    next(iter(answer))
    answer.completion_stream.close()
    assert c.ask().choices
    c.wait_idle()


@test
def eight_streams(c):
    async def one(i):
        parts = await litellm.acompletion(**c.options(f"Count from {i}.", stream=True, max_retries=5))
        return "".join([x.choices[0].delta.content or "" async for x in parts])

    async def all_of_them():
        return await asyncio.gather(*(one(i) for i in range(8)))
    assert all(asyncio.run(all_of_them()))


if __name__ == "__main__":
    suite_exit("litellm", Context)
