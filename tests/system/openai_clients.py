#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The official Python client against a running server.

Usage: openai_clients.py [--base http://127.0.0.1:8080] [--only NAME]
       openai_clients.py --twin build/host/marrow --model FILE.gguf   (starts and stops the twin)
Needs the PyPI packages openai, pydantic and jsonschema. Prints TAP; exit status 1 on failure.
"""
import http.client
import json
import re
import socket
import threading
import time

import jsonschema
import openai
import pydantic

from serving import Place, expect_error, suite_exit, test


class Context(Place):
    def __init__(self, base):
        super().__init__(base)
        self.client = openai.OpenAI(base_url=base + "/v1", api_key="none", timeout=300, max_retries=0)
        self.model = self.client.models.list().data[0].id

    def ask(self, text="Say hello.", retries=0, **more):
        """`retries`: an emulator's forwarded port resets connections that come in a burst."""
        options = {"model": self.model, "max_completion_tokens": 8, "temperature": 0}
        options.update(more)
        return self.client.with_options(max_retries=retries).chat.completions.create(
            messages=[{"role": "user", "content": text}], **options)


@test
def models(c):
    assert c.client.models.retrieve(c.model).id == c.model
    expect_error(openai.NotFoundError, lambda: c.client.models.retrieve("no/such:model"))


@test
def chat(c):
    answer = c.ask()
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.system_fingerprint.startswith("fp_")
    assert answer._request_id.startswith("req_")


@test
def limit_is_a_length_finish(c):
    answer = c.ask(max_completion_tokens=1)
    assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 1


@test
def stream(c):
    whole = c.ask().choices[0].message.content
    text, finish, usage, ids, roles = "", None, None, set(), 0
    for chunk in c.ask(stream=True, stream_options={"include_usage": True}):
        ids.add(chunk.id)
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
            roles += chunk.choices[0].delta.role is not None
            finish = chunk.choices[0].finish_reason or finish
        usage = chunk.usage or usage
    assert text == whole, (text, whole)
    assert finish and usage.completion_tokens > 0 and len(ids) == 1 and roles == 1


@test
def stream_helper(c):
    with c.client.chat.completions.stream(model=c.model, max_completion_tokens=6, temperature=0,
                                          messages=[{"role": "user", "content": "Hi"}]) as events:
        kinds = [event.type for event in events]
        # get_final_completion() would raise: the answer ends at its limit.
        final = events.current_completion_snapshot
    assert "content.delta" in kinds and final.choices[0].message.content


@test
def seeds(c):
    def once(seed):
        return c.ask(temperature=1, seed=seed).choices[0].message.content
    assert once(7) == once(7)
    assert len({once(1), once(2), once(3)}) > 1


@test
def seed_alone_and_among_others(c):
    alone = c.ask(temperature=1, seed=11).choices[0].message.content
    results = {}

    def work(i):
        results[i] = c.ask("Say hello." if i == 0 else f"Count to {i}.", temperature=1,
                           seed=11 if i == 0 else i, retries=5).choices[0].message.content
    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results[0] == alone, (results[0], alone)


@test
def choices(c):
    answer = c.ask(n=2, temperature=1, seed=5)
    assert [x.index for x in answer.choices] == [0, 1]
    indices = {chunk.choices[0].index for chunk in c.ask(n=2, stream=True) if chunk.choices}
    assert indices == {0, 1}


@test
def stop_strings(c):
    whole = c.ask(max_completion_tokens=12).choices[0].message.content
    cut = whole[len(whole) // 2:len(whole) // 2 + 3]
    before = whole[:whole.index(cut)]
    for stop in (cut, [cut, "never to be seen"]):
        answer = c.ask(max_completion_tokens=12, stop=stop)
        assert answer.choices[0].message.content == before, (answer.choices[0].message.content, before)
        assert answer.choices[0].finish_reason == "stop"
    text = "".join(x.choices[0].delta.content or "" for x in c.ask(max_completion_tokens=12, stop=cut, stream=True)
                   if x.choices)
    assert text == before, (text, before)


@test
def logprobs(c):
    answer = c.ask(logprobs=True, top_logprobs=3, max_completion_tokens=4)
    content = answer.choices[0].logprobs.content
    assert len(content) == 4 and all(len(x.top_logprobs) == 3 for x in content)
    assert all(x.logprob <= 0 and x.logprob == x.top_logprobs[0].logprob for x in content)
    assert b"".join(bytes(x.bytes) for x in content).decode() == answer.choices[0].message.content


@test
def logit_bias(c):
    token = json.loads(c.post("/tokenize", {"content": "Hello"}))["tokens"][0]
    answer = c.ask(logit_bias={str(token): 100}, max_completion_tokens=2, logprobs=True)
    piece = json.loads(c.post("/detokenize", {"tokens": [token]}))["content"]
    assert answer.choices[0].logprobs.content[0].token == piece


@test
def json_object(c):
    answer = c.ask("Give me a JSON object with one key.", response_format={"type": "json_object"},
                   max_completion_tokens=120, frequency_penalty=1)
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)


@test
def parse(c):
    class City(pydantic.BaseModel):
        name: str = pydantic.Field(max_length=12)
        population: int = pydantic.Field(ge=0, le=99999999)
        capital: bool

    answer = c.client.chat.completions.parse(
        model=c.model, messages=[{"role": "user", "content": "Describe Paris."}], response_format=City,
        max_completion_tokens=60, temperature=0)
    assert isinstance(answer.choices[0].message.parsed, City)


WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "maxLength": 10}, "unit": {"enum": ["C", "F"]}},
        "required": ["city", "unit"], "additionalProperties": False}}}


@test
def tools_required(c):
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        answer = c.ask("Weather in Oslo?", tools=[WEATHER], tool_choice=choice, max_completion_tokens=120)
        call = answer.choices[0].message.tool_calls[0]
        assert answer.choices[0].finish_reason == "tool_calls" and call.function.name == "get_weather"
        jsonschema.validate(json.loads(call.function.arguments), WEATHER["function"]["parameters"])


@test
def tools_streamed_and_answered(c):
    messages = [{"role": "user", "content": "Weather in Oslo?"}]
    with c.client.chat.completions.stream(model=c.model, messages=messages, tools=[WEATHER], temperature=0,
                                          tool_choice="required", max_completion_tokens=120) as events:
        for _ in events:
            pass
        message = events.get_final_completion().choices[0].message
    call = message.tool_calls[0]
    assert call.function.name == "get_weather" and json.loads(call.function.arguments)
    messages += [{"role": "assistant", "content": None, "tool_calls": [
        {"id": call.id, "type": "function",
         "function": {"name": call.function.name, "arguments": call.function.arguments}}]},
        {"role": "tool", "tool_call_id": call.id, "content": "{\"degrees\": 12}"}]
    answer = c.client.chat.completions.create(model=c.model, messages=messages, tools=[WEATHER],
                                              max_completion_tokens=6)
    assert answer.choices[0].finish_reason in ("stop", "length", "tool_calls")


@test
def content_parts_and_roles(c):
    answer = c.client.chat.completions.create(
        model=c.model, max_completion_tokens=3,
        messages=[{"role": "developer", "content": "Be brief."},
                  {"role": "user", "content": [{"type": "text", "text": "Say "}, {"type": "text", "text": "hi."}]}])
    assert answer.choices
    expect_error(openai.BadRequestError, lambda: c.client.chat.completions.create(
        model=c.model, messages=[{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]))


@test
def errors_name_their_parameter(c):
    for name, value in (("temperature", -1), ("top_p", 2), ("n", 0), ("max_tokens", -5), ("presence_penalty", 99)):
        error = expect_error(openai.BadRequestError, lambda: c.ask(**{"max_completion_tokens": 1, name: value}))
        assert error.param == name, (name, error.param)


@test
def context_overflow(c):
    error = expect_error(openai.BadRequestError, lambda: c.ask("word " * 20000))
    assert error.code == "context_length_exceeded", error.code
    assert error.body["n_prompt_tokens"] > error.body["n_ctx"] > 0
    error = expect_error(openai.BadRequestError, lambda: c.ask("word " * 600_000))  # too long to be counted
    assert error.code == "context_length_exceeded", error.code


@test
def completions(c):
    answer = c.client.completions.create(model=c.model, prompt="Once upon a time", max_tokens=5, temperature=0)
    assert answer.choices[0].text and answer.choices[0].finish_reason == "length"
    two = c.client.completions.create(model=c.model, prompt=["One", "Two"], max_tokens=2, echo=False)
    assert [x.index for x in two.choices] == [0, 1]
    tokens = json.loads(c.post("/tokenize", {"content": "Once upon a time"}))["tokens"]
    same = c.client.completions.create(model=c.model, prompt=tokens, max_tokens=5, temperature=0)
    assert same.choices[0].text == answer.choices[0].text
    parts = c.client.completions.create(model=c.model, prompt="Once upon a time", max_tokens=5, temperature=0,
                                        stream=True)
    assert "".join(x.choices[0].text for x in parts if x.choices) == answer.choices[0].text


@test
def cached_prompt(c):
    text = "Tell me about the sea. " * 30
    c.ask(text, max_completion_tokens=1)
    again = c.ask(text, max_completion_tokens=1)
    cached = again.usage.prompt_tokens_details.cached_tokens
    assert cached > again.usage.prompt_tokens // 2, (cached, again.usage.prompt_tokens)


@test
def responses(c):
    answer = c.client.responses.create(model=c.model, input="Say hello.", max_output_tokens=6, temperature=0)
    assert answer.output_text
    text, kinds = "", []
    for event in c.client.responses.create(model=c.model, input="Say hello.", max_output_tokens=6, temperature=0,
                                           stream=True):
        kinds.append(event.type)
        if event.type == "response.output_text.delta":
            text += event.delta
    assert text == answer.output_text and kinds[0] == "response.created"
    assert kinds[-1] in ("response.completed", "response.incomplete")


RESPONSES_WEATHER = {"type": "function", "strict": True, **WEATHER["function"]}


@test
def responses_tools(c):
    """A call that is forced, whole and streamed; its output goes with the id of the answer that called."""
    options = {"model": c.model, "input": "Weather in Oslo?", "tools": [RESPONSES_WEATHER], "temperature": 0,
               "max_output_tokens": 120}
    for choice in ("required", {"type": "function", "name": "get_weather"}):
        answer = c.client.responses.create(tool_choice=choice, **options)
        call = answer.output[0]
        assert call.type == "function_call" and call.name == "get_weather" and len(answer.output) == 1
        jsonschema.validate(json.loads(call.arguments), RESPONSES_WEATHER["parameters"])
    deltas, kinds = "", []
    with c.client.responses.stream(tool_choice="required", **options) as events:
        for event in events:
            kinds.append(event.type)
            if event.type == "response.function_call_arguments.delta":
                deltas += event.delta
        final = events.get_final_response()
    call = final.output[0]
    assert call.arguments == deltas == answer.output[0].arguments, (call.arguments, deltas)
    assert "response.function_call_arguments.done" in kinds and kinds[-1] == "response.completed"
    after = c.client.responses.create(
        model=c.model, previous_response_id=final.id, tools=[RESPONSES_WEATHER], tool_choice="none", max_output_tokens=6,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "{\"degrees\": 12}"}])
    assert after.output[0].type == "message" and after.previous_response_id == final.id
    whole = c.client.responses.create(  # the same without the server's memory
        model=c.model, max_output_tokens=6, tools=[RESPONSES_WEATHER], tool_choice="none",
        input=[{"role": "user", "content": "Weather in Oslo?"}, *final.output,
               {"type": "function_call_output", "call_id": call.call_id, "output": "{\"degrees\": 12}"}])
    assert whole.usage.input_tokens == after.usage.input_tokens, (whole.usage, after.usage)


@test
def responses_logprobs(c):
    options = {"model": c.model, "input": "Say hello.", "max_output_tokens": 4, "temperature": 0, "top_logprobs": 3,
               "include": ["message.output_text.logprobs"]}
    answer = c.client.responses.create(**options)
    part = answer.output[0].content[0]
    assert all(len(x.top_logprobs) == 3 and x.logprob <= 0 for x in part.logprobs)
    assert b"".join(bytes(x.bytes) for x in part.logprobs).decode() == part.text
    streamed = []
    for event in c.client.responses.create(stream=True, **options):
        if event.type == "response.output_text.delta":
            streamed += event.logprobs
    assert [x.token for x in streamed] == [x.token for x in part.logprobs]


@test
def responses_go_on(c):
    def tell(**more):
        return c.client.responses.create(model=c.model, max_output_tokens=5, temperature=0, **more)
    first = tell(input="Say hello.", instructions="Be brief.")
    second = tell(input="Again.", previous_response_id=first.id)
    spelt = tell(input=[{"role": "user", "content": "Say hello."}, *first.output, {"role": "user", "content": "Again."}])
    assert second.output_text == spelt.output_text and second.usage.input_tokens == spelt.usage.input_tokens
    assert c.client.responses.retrieve(first.id).output_text == first.output_text
    c.client.responses.delete(first.id)
    expect_error(openai.NotFoundError, lambda: c.client.responses.retrieve(first.id))
    error = expect_error(openai.BadRequestError, lambda: tell(input="x", previous_response_id=first.id))
    assert error.param == "previous_response_id" and error.code == "previous_response_not_found"
    assert tell(input="x", previous_response_id=second.id).output_text  # it has the words of the first one
    unkept = tell(input="x", store=False)
    expect_error(openai.BadRequestError, lambda: tell(input="x", previous_response_id=unkept.id))


@test
def responses_parse(c):
    class City(pydantic.BaseModel):
        name: str = pydantic.Field(max_length=12)
        capital: bool

    answer = c.client.responses.parse(model=c.model, input="Describe Paris.", text_format=City, temperature=0,
                                      max_output_tokens=60)
    assert isinstance(answer.output_parsed, City)


@test
def embeddings(c):
    one = c.client.embeddings.create(model=c.model, input="hello").data[0].embedding  # asks for base64
    same = c.client.embeddings.create(model=c.model, input="hello", encoding_format="float").data[0].embedding
    assert len(one) == len(same) > 8 and all(abs(a - b) < 1e-6 for a, b in zip(one, same))
    assert abs(sum(x * x for x in one) - 1) < 1e-4
    several = c.client.embeddings.create(model=c.model, input=["hello", "the sea"])
    assert [x.index for x in several.data] == [0, 1] and several.usage.prompt_tokens > 2
    assert len(c.client.embeddings.create(model=c.model, input="hello", dimensions=8).data[0].embedding) == 8
    expect_error(openai.BadRequestError, lambda: c.client.embeddings.create(model=c.model, input=[]))


@test
def abort_frees_the_slot(c):
    stream_of = c.ask("Count to a thousand.", stream=True, max_completion_tokens=500)
    next(iter(stream_of))
    stream_of.close()
    deadline = time.time() + 5
    while c.running() > 0 and time.time() < deadline:
        time.sleep(0.05)
    assert c.running() == 0
    assert c.ask(max_completion_tokens=2).choices


@test
def health_during_long_prefill(c):
    # As much as the context holds, 8 times: a tiny model must not be done before it was asked.
    word = len(json.loads(c.post("/tokenize", {"content": " sea sea"}))["tokens"]) // 2
    text = " sea" * ((c.context() - 150) // (word + 1))
    text = text[:len(" sea") * 500]
    threads = [threading.Thread(target=lambda i=i: c.ask(f"{time.time()} {i}" + text, max_completion_tokens=1, retries=5))
               for i in range(8)]
    for thread in threads:
        thread.start()
    # One connection: an emulator's forwarded port takes a second for new ones in a burst.
    line = http.client.HTTPConnection(c.host, int(c.port), timeout=60)
    line.connect()
    worst, probes = 0.0, 0
    while any(t.is_alive() for t in threads) and probes < 100:
        start = time.time()
        line.request("GET", "/health")
        line.getresponse().read()
        worst, probes = max(worst, time.time() - start), probes + 1
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    print(f"#   worst /health {worst * 1000:.1f} ms over {probes} probes")
    assert probes > 3 and worst < 0.5, worst  # the promise is 0.1 s; a busy test machine gets more


@test
def retries(c):
    """429 while the queue is full, with the time to wait; the client's own retry is answered."""
    with c.full_queue():
        error = expect_error(openai.RateLimitError, c.ask)
        assert int(error.response.headers["retry-after-ms"]) > 0, error.response.headers
        patient = c.client.with_options(max_retries=8)
        answer = patient.chat.completions.create(model=c.model, max_completion_tokens=2,
                                                 messages=[{"role": "user", "content": "Hi"}])
        assert answer.choices
    c.wait_idle()


@test
def parallel_streams(c):
    done = []

    def work(i):
        parts = c.ask(f"Count from {i}.", stream=True, max_completion_tokens=5, retries=5)
        done.append("".join(x.choices[0].delta.content or "" for x in parts if x.choices))
    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(done) == 8 and all(done)


@test
def plain_text_like_llmd(c):
    assert re.match(r"ok model dim=\d+ layers=\d+ vocab=\d+\n$", c.get("/healthz"))
    text = c.post("/completion?n=4&temp=0", "Once upon a time", "text/plain")
    assert text
    lines = c.get("/metrics").splitlines()[:4]
    assert [x.split()[0] for x in lines] == ["requests", "tokens_total", "last_ttft_ms", "last_tok_s"]
    with socket.create_connection((c.host, int(c.port))) as s:
        s.sendall(b"POST /completion?n=3 HTTP/1.0\r\nContent-Length: 4\r\n\r\nOnce")
        data = b""
        while part := s.recv(4096):
            data += part
    assert data.startswith(b"HTTP/1.0 200 OK\r\n") and b"chunked" not in data


@test
def bad_bytes_get_their_status(c):
    for request, status in ((b"GET / HTTP/1.1\r\n\r\n", b"400"), (b"nonsense\r\n\r\n", b"400"),
                            (b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"411"),
                            (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
                            (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"414"),
                            (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20000 + b"\r\n\r\n", b"431"),
                            (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                             b"400")):
        with socket.create_connection((c.host, int(c.port)), timeout=10) as s:
            s.sendall(request)
            assert s.recv(4096).split(b" ")[1] == status, (request[:40], status)


if __name__ == "__main__":
    suite_exit("openai", Context)
