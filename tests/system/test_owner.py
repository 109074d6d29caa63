#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One owner of the model: console and server use it at once while other models are loaded, on the twin."""
import contextlib
import http.client
import json
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import tempfile
import threading
import time

from harness import MODEL, TWIN, case, check, main, need
from serving import free_port

PROMPT = "marrow> "


class Console:
    """The twin with a console and a server on a port; admin routes are open to this machine."""

    def __init__(self, *options: str):
        self.port = free_port()
        leader, follower = pty.openpty()
        self.process = subprocess.Popen([TWIN, f"model={MODEL}", f"http.port={self.port}", "admin=open", *options],
                                        stdin=follower, stdout=follower, stderr=follower, close_fds=True)
        os.close(follower)
        self.terminal = leader
        self.said = ""
        self.commands = 0

    def __enter__(self):
        self.expect(re.escape(PROMPT))
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)

    def pump(self, seconds: float) -> None:
        if select.select([self.terminal], [], [], seconds)[0]:
            self.said += os.read(self.terminal, 65536).decode(errors="replace")

    def expect(self, pattern: str, seconds: float = 120) -> str:
        """Returns the output up to and including the pattern, and removes it."""
        end = time.monotonic() + seconds
        while not (match := re.search(pattern, self.said)):
            check(self.process.poll() is None, f"the twin died with {self.process.returncode}:\n{self.said[-2000:]}")
            check(time.monotonic() < end, f"no {pattern!r} in {seconds} s:\n{self.said[-2000:]}")
            self.pump(0.1)
        text, self.said = self.said[: match.end()], self.said[match.end():]
        return text

    def type(self, line: str) -> None:
        os.write(self.terminal, line.encode() + b"\r")

    def command(self, line: str, seconds: float = 120) -> str:
        self.begin(line)
        return self.finish(seconds)

    def begin(self, line: str) -> None:
        """A log line may redraw the prompt at any time, so the output of an echo after the command marks its end."""
        self.commands += 1
        self.type(f"{line}; echo end {self.commands}")
        self.expect(rf"echo end {self.commands}")

    def finish(self, seconds: float = 120) -> str:
        return self.expect(rf"\nend {self.commands}\r?\n", seconds)

    def ask(self, method: str, path: str, body=None, seconds: float = 120):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        connection.request(method, path, json.dumps(body) if body is not None else None,
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def load(self, path) -> tuple[int, str, float]:
        begin = time.monotonic()
        status, text = self.ask("POST", "/v1/models/load", {"model": str(path)})
        return status, text, time.monotonic() - begin


@contextlib.contextmanager
def second_model():
    """The same model under another name: loading it does all the work of a load."""
    with tempfile.TemporaryDirectory() as folder:
        other = pathlib.Path(folder) / "other.gguf"
        shutil.copyfile(MODEL, other)
        yield other


def stream(twin: Console, tokens: int, done: list) -> threading.Thread:
    def run():
        body = {"messages": [{"role": "user", "content": "Count."}], "max_tokens": tokens, "stream": True,
                "ignore_eos": True}
        status, text = twin.ask("POST", "/v1/chat/completions", body)
        done.append((status, text))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@case
def a_text_is_scored_while_another_model_is_asked_for():
    """`perplexity` of a long file, then a load: refused at once with the name `perplexity`, and the figure is the same"""
    need(TWIN, "make host")
    need(MODEL, "make model")
    with tempfile.TemporaryDirectory() as folder, second_model() as other, Console() as twin:
        text = pathlib.Path(folder) / "text.txt"
        text.write_text(pathlib.Path("README.md").read_text() * 4)
        twin.command("serve start")
        alone = re.search(r"perplexity [\d.]+ over \d+ tokens", twin.command(f"perplexity /host{text}", 300))[0]
        twin.begin(f"perplexity /host{text}")
        twin.expect(r"\d+ of \d+ tokens")
        status, answer, seconds = twin.load(other)
        check(status == 409 and "perplexity" in answer, f"{status} {answer}")
        check(seconds < 30, f"refused after {seconds} s")
        check(alone in twin.finish(300), "another figure beside the load")
        check(twin.load(other)[0] == 200, "the load afterwards")


@case
def the_console_works_while_the_server_answers():
    """embed, logits, perplexity and an answer at the console while eight streams run: all succeed"""
    need(TWIN, "make host")
    need(MODEL, "make model")
    with tempfile.TemporaryDirectory() as folder, Console() as twin:
        text = pathlib.Path(folder) / "text.txt"
        text.write_text("The quick brown fox jumps over the lazy dog. " * 8)
        twin.command("serve start")
        done = []
        threads = [stream(twin, 200, done) for _ in range(8)]
        for line, wanted in (("embed hello", r"\d+ tokens, \d+ numbers"), ("logits The capital of", r"token +logprob"),
                             (f"perplexity /host{text}", r"perplexity [\d.]+ over"), ("llm Hello 4", r"llm: done")):
            said = twin.command(line)
            check(re.search(wanted, said), said)
        for thread in threads:
            thread.join(120)
        check(len(done) == 8 and all(s == 200 and t.count("data: [DONE]") == 1 for s, t in done), str(done)[:500])


@case
def a_load_during_stability_names_it():
    """`stability` for long, then a load: 409 at once with its name, and other requests are answered meanwhile"""
    need(TWIN, "make host")
    need(MODEL, "make model")
    with second_model() as other, Console() as twin:
        twin.command("serve start")
        twin.begin("stability 5m")
        twin.expect(r"stability: seed=")
        status, answer, seconds = twin.load(other)
        check(status == 409 and "stability" in answer and "Ctrl-C" in answer, f"{status} {answer}")
        check(seconds < 30, f"refused after {seconds} s")
        status, answer = twin.ask("POST", "/v1/completions", {"prompt": "One two", "max_tokens": 4})
        check(status == 200, f"{status} {answer}")
        os.write(twin.terminal, b"\x03")
        twin.expect(r"stability: STOPPED")
        twin.type("")
        check(twin.load(other)[0] == 200, "the load afterwards")


@case
def streams_go_on_while_another_model_is_loaded():
    """eight streams, then a load: 200, the streams end as they began, new requests go to the new model"""
    need(TWIN, "make host")
    need(MODEL, "make model")
    with second_model() as other, Console() as twin:
        twin.command("serve start")
        status, _, alone = twin.load(other)
        check(status == 200, f"{status}")
        check(twin.load(MODEL)[0] == 200, "back")
        done = []
        threads = [stream(twin, 400, done) for _ in range(8)]
        time.sleep(0.5)
        status, answer, beside = twin.load(other)
        check(status == 200, f"{status} {answer}")
        print(f"# load alone {alone:.2f} s, beside eight streams {beside:.2f} s: {beside / alone:.2f} x")
        for thread in threads:
            thread.join(180)
        check(all(s == 200 and t.count("data: [DONE]") == 1 for s, t in done) and len(done) == 8, str(done)[:500])
        check('"model":"other"' in twin.ask("POST", "/v1/completions", {"prompt": "a", "max_tokens": 1})[1], "the new model")


@case
def the_server_is_stopped_in_the_middle_of_answers():
    """`serve stop` while eight streams run: they end, the console goes on, the server starts again"""
    need(TWIN, "make host")
    need(MODEL, "make model")
    with Console() as twin:
        for _ in range(3):
            twin.command("serve start")
            threads = []
            for _ in range(8):
                def run():
                    with contextlib.suppress(OSError, http.client.HTTPException):
                        twin.ask("POST", "/v1/completions", {"prompt": "One", "max_tokens": 2000, "stream": True})
                threads.append(threading.Thread(target=run, daemon=True))
                threads[-1].start()
            time.sleep(0.5)
            twin.command("serve stop")
            for thread in threads:
                thread.join(60)
                check(not thread.is_alive(), "a stream did not end")
            check("requests  0 running, 0 waiting" in twin.command("status"), "requests are left")


if __name__ == "__main__":
    main()
