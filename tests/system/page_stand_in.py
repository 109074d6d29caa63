# SPDX-License-Identifier: GPL-2.0-or-later
"""A server without a model: the twin's page with its headers, and answers of /v1 that a test chooses by its question.

The routes and the form of the answers are the server's own (ai/openai/form_chat.cpp); what they say is here.
"""
import contextlib
import http.server
import json
import threading
import time
import urllib.request

MODELS = [{"id": "Thinker", "status": "loaded", "meta": {"size": 98_000_000, "n_ctx": 2048}},
          {"id": "Other", "status": "available", "meta": {"size": 2_100_000_000}}]
HOSTILE = """<script>window.ran = 1</script><img src=x onerror="window.ran = 2"> **<b onclick=alert(1)>x</b>**
[a](javascript:window.ran=3) [b](data:text/html,<script>window.ran=4</script>) [c](https://example.org/x?y=<z>) ![i](https://example.org/i.png)
[d](java\tscript:window.ran=5) https://example.org/" onmouseover="window.ran=6

```html
<script>window.ran = 7</script>
```
| <img src=x onerror="window.ran=8"> | b |
|---|---|
| `<i>` | [e](vbscript:x) |
"""
DEEP = "> " * 4000 + "x\n" + "".join(" " * i + "- a\n" for i in range(0, 400, 2)) + "*" * 9000 + "[" * 9000 + "`" * 9001 + "_" * 9000
REFUSALS = {
    "context": (400, "context_length_exceeded", "the prompt has 9000 tokens, the context 2048"),
    "unknown": (404, "model_not_found", "the model 'x' does not exist"),
    "busy": (429, "server_busy", "too many requests wait"),
}


def delta(**fields):
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": None}], "usage": None,
            "timings": {"predicted_n": 2, "predicted_per_second": 12.5}}


def ending(reason):
    return [{"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": None},
            {"choices": [], "usage": {"completion_tokens": 3, "total_tokens": 40},
             "timings": {"predicted_n": 3, "predicted_per_second": 12.5}}]


def answer_to(question, number):
    """The chunks of an answer. None ends the connection, a number waits that many seconds."""
    if question == "think":
        return [delta(reasoning_content="First this. "), delta(reasoning_content="Then that."), delta(content="So: *yes*."), *ending("stop")]
    if question == "hostile":
        return [delta(content=HOSTILE), *ending("stop")]
    if question == "deep":
        return [delta(content=DEEP), *ending("stop")]
    if question == "long":
        return [delta(content="The first half"), *ending("length")]
    if question == "cut":
        return [delta(content="Half of it"), 0.5, None]
    if question == "slow":
        return [delta(content="begun"), *[x for i in range(400) for x in (0.05, delta(content=f" {i}"))], *ending("stop")]
    if question == "silent":
        return [30]
    if question == "code":
        return [delta(content="Run:\n\n```sh\necho one\n```\n"), *ending("stop")]
    if question == "failing":
        return [{"error": {"message": "memory ran out", "code": "out_of_memory"}}]
    return [delta(content=f"answer {number} to {question}"), *ending("stop")]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body, kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in self.server.page_headers if kind == "text/html" else [("Content-Type", kind)]:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def allowed(self):
        if not self.server.key or self.headers.get("Authorization") == "Bearer " + self.server.key:
            return True
        self.reply(401, {"error": {"message": "this server needs a key", "code": "invalid_api_key"}})
        return False

    def do_GET(self):
        if self.path == "/health":
            self.reply(200, {"status": "ok", "model": "Thinker", "context": 2048, "stage": "ready"})
        elif self.path == "/v1/models":
            if self.allowed():
                self.reply(200, {"object": "list", "data": MODELS})
        else:
            self.reply(200, self.server.page, "text/html")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.allowed():
            return
        self.server.asked.append(body)
        last = body["messages"][-1]
        if last["role"] == "assistant":
            question, chunks = "", [delta(content=", and the second"), *ending("stop")]
        else:
            question = last["content"]
            chunks = answer_to(question, len(self.server.asked))
        if question in REFUSALS:
            status, code, message = REFUSALS[question]
            self.reply(status, {"error": {"message": message, "code": code}})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        if None in chunks:
            self.send_header("Content-Length", "1000000")  # so that the end is a loss
        self.end_headers()
        with contextlib.suppress(OSError):
            self.send(chunks)

    def send(self, chunks):
        for chunk in chunks:
            if chunk is None:
                return
            if isinstance(chunk, (int, float)):
                time.sleep(chunk)
                continue
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            self.wfile.flush()
        self.wfile.write(b"data: [DONE]\n\n")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a browser that leaves a page drops its connections


@contextlib.contextmanager
def stand_in(twin):
    """Yields the server: `url`, `asked` (the bodies of its requests), `key` (settable)."""
    request = urllib.request.Request(twin + "/", headers={"Accept": "text/html"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        page, headers = answer.read(), [(n, answer.headers[n]) for n in ("Content-Type", "Content-Security-Policy", "X-Frame-Options")]
    server = Server(("127.0.0.1", 0), Handler)
    server.page, server.page_headers, server.asked, server.key = page, headers, [], ""
    server.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
