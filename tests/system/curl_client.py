#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""curl against a running server: headers and protocol versions that the client libraries do not send.

Usage: curl_client.py [--base http://127.0.0.1:8080] [--only NAME], or --twin PROGRAM --model FILE.gguf
Prints TAP; exit status 1 on failure.
"""
import json
import subprocess
import tempfile

from serving import Place, suite_exit, test

JSON = ("-H", "Content-Type: application/json")


class Context(Place):
    def curl(self, *arguments, path="", wanted=(0,), text=None):
        urls = [self.base + path] if path else []
        done = subprocess.run(["curl", "-sS", "--max-time", "240", *arguments, *urls], input=text, capture_output=True,
                              text=True, timeout=250, check=False)
        assert done.returncode in wanted, (done.returncode, done.stderr)
        return done.stdout

    def chat(self, **more):
        return json.dumps({"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 6, "temperature": 0,
                           **more})


@test
def chat(c):
    answer = json.loads(c.curl(*JSON, "-d", c.chat(), path="/v1/chat/completions"))
    assert answer["choices"][0]["message"]["content"]


@test
def stream(c):
    out = c.curl("-N", *JSON, "-d", c.chat(stream=True), path="/v1/chat/completions")
    assert out.endswith("data: [DONE]\n\n") and out.count("data: {") > 3


@test
def old_protocol(c):
    """HTTP/1.0: the end of the answer is the end of the connection."""
    out = c.curl("-0", "-i", *JSON, "-d", c.chat(stream=True), path="/v1/chat/completions")
    assert out.startswith("HTTP/1.0 200") and "chunked" not in out and out.endswith("data: [DONE]\n\n")


@test
def plain_text(c):
    assert c.curl("-d", "Once upon a time", "-H", "Content-Type: text/plain", path="/completion?n=5&temp=0")


@test
def head_and_options(c):
    assert c.curl("-I", path="/health").startswith("HTTP/1.1 200 OK")
    assert c.curl("-i", "-X", "OPTIONS", path="/v1/models").startswith("HTTP/1.1 200")


@test
def expects_a_go_ahead(c):
    """curl asks before it sends more than a megabyte."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        body.write(json.dumps({"content": "word", "unknown": "word " * 300_000}))
        body.flush()
        out = c.curl("-i", "-o", "/dev/null", "-w", "%{http_code}", *JSON, "-H", "Expect: 100-continue", "-d",
                     "@" + body.name, path="/tokenize")
    assert out == "200", out


@test
def chunked_body(c):
    out = c.curl(*JSON, "-H", "Transfer-Encoding: chunked", "-d", "@-", path="/v1/chat/completions", text=c.chat())
    assert json.loads(out)["choices"]


@test
def one_connection_for_many(c):
    out = c.curl("-w", "%{num_connects} ", *["-o", "/dev/null", c.base + "/health/live"] * 5)
    assert out.split() == ["1", "0", "0", "0", "0"], out


@test
def tls(c):
    for least, most in (("--tlsv1.3", "1.3"), ("--tlsv1.2", "1.2")):
        out = c.curl("-k", least, "--tls-max", most, c.base.replace("http:", "https:") + "/health/live")
        assert out == '{"status":"live"}', out
    c.curl("-k", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", c.base.replace("http:", "https:") + "/health",
           wanted=(35,))


@test
def errors(c):
    for path, body, status, code in (
            ("/v1/none", None, "404", "not_found"), ("/v1/chat/completions", "{", "400", None),
            ("/v1/chat/completions", c.chat(temperature=-1), "400", None),
            ("/v1/completions", json.dumps({"prompt": "word " * 60000}), "400", "context_length_exceeded")):
        given = [*JSON, "-d", "@-"] if body else []
        out = c.curl("-w", "\n%{http_code}", *given, path=path, text=body)
        answer, got = out.rsplit("\n", 1)
        assert got == status and (code is None or json.loads(answer)["error"]["code"] == code), out


@test
def retries(c):
    """--retry heeds 429 and Retry-After."""
    with c.full_queue():
        out = c.curl("--retry", "8", "-w", "\n%{http_code}", *JSON, "-d", c.chat(), path="/v1/chat/completions")
    assert out.endswith("\n200"), out
    c.wait_idle()


@test
def abort_then_next(c):
    # A tiny model may be done within the second.
    c.curl("-N", "--max-time", "1", *JSON, "-d", c.chat(stream=True, max_tokens=100_000, ignore_eos=True,
                                                        temperature=1), "-o", "/dev/null",
           path="/v1/chat/completions", wanted=(0, 28))
    assert json.loads(c.curl(*JSON, "-d", c.chat(), path="/v1/chat/completions"))["choices"]
    c.wait_idle()


@test
def eight_streams(c):
    jobs = []
    for i in range(8):
        jobs += (["--next"] if i else []) + ["-sS", "-N", "--retry", "5", "--retry-all-errors", *JSON, "-d", c.chat(stream=True, seed=i),
                                             c.base + "/v1/chat/completions"]
    out = c.curl("--parallel", "--parallel-immediate", *jobs)
    assert out.count("data: [DONE]") == 8


if __name__ == "__main__":
    suite_exit("curl", Context)
