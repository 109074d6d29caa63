#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The requests that programs send to Ollama, in their order, and what each of them does with the answers.

Open WebUI, Continue, Cline, Home Assistant and n8n speak HTTP themselves or through a client that they bring along. Each case
sends what one of them sends and reads the answers as strictly as that program does.
Usage: ollama_programs_client.py [--base http://127.0.0.1:8080] [--only NAME], or --twin PROGRAM --model FILE.gguf
Prints TAP; exit status 1 on failure.
"""
import datetime
import http.client
import json
import time

from serving import Place, suite_exit, test

HELLO = [{"role": "user", "content": "Say hello."}]


class Context(Place):
    def __init__(self, base):
        super().__init__(base)
        self.name = self.ask("GET", "/api/tags")[1]["models"][0]["model"]

    def open(self, method, path, body=None, headers=None):
        """The answer with its head read and its body not."""
        connection = http.client.HTTPConnection(self.host, int(self.port), timeout=300)
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
        return connection.getresponse()

    def ask(self, method, path, body=None, headers=None):
        answer = self.open(method, path, body, headers)
        text = answer.read().decode()
        return answer.status, json.loads(text) if text.startswith("{") else text

    def lines(self, path, body):
        """The objects of a stream, read line by line; a line that is empty ends the reader of most programs."""
        answer = self.open("POST", path, body)
        assert answer.status == 200 and answer.getheader("Content-Type").startswith("application/x-ndjson"), answer.status
        found = []
        for line in answer:
            assert line.strip(), "an empty line"
            found.append(json.loads(line))
        assert found[-1]["done"] is True and not any(one["done"] for one in found[:-1])
        return found


def text_of(lines):
    return "".join(one["message"]["content"] for one in lines)


@test
def open_webui(c):
    """Looks for the server, lists, shows, talks, embeds, unloads."""
    status, version = c.ask("GET", "/api/version", headers={"Authorization": "Bearer none"})
    assert status == 200 and len([int(part) for part in version["version"].split(".")]) == 3
    tags = c.ask("GET", "/api/tags")[1]["models"]
    running = {m["model"]: m["expires_at"] for m in c.ask("GET", "/api/ps")[1]["models"]}
    for model in tags:
        assert ":" in model["model"] and model["name"] and len(model["digest"]) == 64 and model["details"]["family"]
        datetime.datetime.fromisoformat(model["modified_at"].replace("Z", "+00:00"))
    for time_text in running.values():
        datetime.datetime.fromisoformat(time_text.replace("Z", "+00:00"))
    assert c.ask("POST", "/api/show", {"model": c.name})[1]["model_info"]
    # It sends the name with ":latest", and options of which many are null.
    said = c.lines("/api/chat", {"model": c.name, "messages": HELLO, "stream": True, "keep_alive": None, "format": None,
                                 "options": {"temperature": 0, "num_predict": 8, "mirostat": None, "stop": None}})
    assert text_of(said) and said[-1]["eval_count"] > 0 and said[-1]["total_duration"] > 0
    # The title of a conversation, and follow-up questions, are whole answers.
    whole = c.ask("POST", "/api/chat", {"model": c.name, "messages": HELLO, "stream": False,
                                        "options": {"temperature": 0, "num_predict": 8}})[1]
    assert whole["message"]["content"] == text_of(said)
    status, vectors = c.ask("POST", "/api/embed", {"model": c.name, "input": ["one", "two"], "truncate": True})
    assert status == 200 and len(vectors["embeddings"]) == 2
    for path in ("/api/pull", "/api/create", "/api/copy", "/api/push"):
        status, answer = c.ask("POST", path, {"model": "a/b/c/d", "name": "x", "stream": False})
        assert status >= 400 and isinstance(answer["error"], str), (path, status, answer)
    status, answer = c.ask("POST", "/api/generate", {"model": c.name, "prompt": "", "keep_alive": 0})
    assert status == 200 and answer["done_reason"] == "unload"
    assert c.ask("GET", "/api/ps")[1]["models"] == []
    assert c.ask("POST", "/api/generate", {"model": c.name})[1]["done_reason"] == "load"


@test
def continue_dev(c):
    """Shows the model by "name", reads its parameters line by line, chats and completes."""
    status, shown = c.ask("POST", "/api/show", {"name": c.name})
    assert status == 200
    for line in shown["parameters"].split("\n"):
        key, value = line.split()[:2]
        assert key and value
    context = next(value for key, value in shown["model_info"].items() if key.endswith(".context_length"))
    assert context > 0
    options = {"temperature": 0, "num_predict": 8, "num_ctx": 4096, "stop": ["\n\n\n"], "num_thread": 4}
    said = c.lines("/api/chat", {"model": c.name, "messages": [{"role": "system", "content": "Be brief."}, *HELLO],
                                 "options": options, "stream": True, "keep_alive": 1800})
    assert said[0]["message"]["role"] == "assistant" and text_of(said)
    # It fills in where the template has a suffix; elsewhere it sends the marks itself, raw.
    fills = ".Suffix" in shown["template"]
    body = {"model": c.name, "prompt": "def add(a, b):", "raw": True, "options": options, "stream": True, "keep_alive": 1800}
    if fills:
        body |= {"suffix": "\n\nprint(add(1, 2))", "raw": False}
    lines = c.lines("/api/generate", body)
    assert all("response" in one for one in lines)
    if not fills:
        status, answer = c.ask("POST", "/api/generate", {**body, "suffix": "x", "stream": False})
        assert status == 400 and "does not support insert" in answer["error"]
    status, answer = c.ask("POST", "/api/embed", {"model": c.name, "input": ["a text"]})
    assert status == 200 and len(answer["embeddings"]) == 1


@test
def cline(c):
    """Asks for more context than there is, gives up after 30 s without a head, and counts the tokens of the last line."""
    assert any(m["name"] == c.name for m in c.ask("GET", "/api/tags")[1]["models"])
    words = "The quick brown fox jumps over the lazy dog. " * max(1, c.context() // 40)
    begin = time.monotonic()
    answer = c.open("POST", "/api/chat", {"model": c.name, "stream": True, "options": {"num_ctx": 32768, "num_predict": 4},
                                          "messages": [{"role": "system", "content": words}, *HELLO]})
    head = time.monotonic() - begin
    assert answer.status == 200
    body = answer.read().decode()
    total = time.monotonic() - begin
    print(f"#   the head came after {head:.2f} of {total:.2f} s, before {c.context()} tokens or fewer were read", flush=True)
    last = json.loads(body.strip().split("\n")[-1])
    assert last["prompt_eval_count"] > 20 and last["eval_count"] == 4 and last["done_reason"] == "length"
    too_long = [{"role": "user", "content": "word " * 20_000}]
    status, answer = c.ask("POST", "/api/chat", {"model": c.name, "messages": too_long, "options": {"num_ctx": 32768}})
    assert status == 400 and "exceeds the context length" in answer["error"], (status, answer)


@test
def home_assistant(c):
    """Streams with tools, a schema, keep_alive in seconds and for ever."""
    tool = {"type": "function", "function": {"name": "HassTurnOn", "description": "Turns on a device.", "parameters": {
        "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}}}
    for keep_alive in ("300s", -1):
        said = c.lines("/api/chat", {"model": c.name, "messages": HELLO, "tools": [tool], "stream": True, "think": False,
                                     "keep_alive": keep_alive, "options": {"num_ctx": 8192, "num_predict": 6}})
        assert said[-1]["done_reason"] in ("stop", "length")
    again = [*HELLO, {"role": "assistant", "content": "", "tool_calls": [
        {"function": {"name": "HassTurnOn", "arguments": {"name": "lamp"}}}]},
             {"role": "tool", "content": json.dumps({"ok": True}), "tool_name": "HassTurnOn"}]
    assert c.lines("/api/chat", {"model": c.name, "messages": again, "tools": [tool], "stream": True,
                                 "options": {"num_predict": 4}})
    schema = {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}
    said = c.lines("/api/chat", {"model": c.name, "messages": HELLO, "format": schema, "stream": True,
                                 "options": {"num_predict": 40}})
    assert isinstance(json.loads(text_of(said))["on"], bool)


@test
def n8n(c):
    """Tries its credentials by GET /, then lists."""
    for method in ("GET", "HEAD"):
        answer = c.open(method, "/", headers={"Accept": "application/json,text/html,application/xhtml+xml"})
        assert answer.status == 200, answer.status
        answer.read()
    assert c.ask("GET", "/api/tags")[1]["models"]


@test
def probes(c):
    """What programs send before they know that somebody is there."""
    for path in ("/", "/api/version", "/api/tags", "/api/ps"):
        answer = c.open("HEAD", path)
        assert answer.status == 200 and answer.read() == b"", path
    answer = c.open("HEAD", "/api/blobs/sha256:" + "0" * 64)
    assert answer.status == 404 and answer.read() == b""
    status, answer = c.ask("GET", "/api/nowhere")
    assert status == 404 and isinstance(answer["error"], str)
    status, answer = c.ask("DELETE", "/api/delete", {"model": "no-such-model"})
    assert status >= 400 and isinstance(answer["error"], str)


if __name__ == "__main__":
    suite_exit("ollama_programs", Context)
