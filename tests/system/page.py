#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The built-in page in headless Chromium: a question typed, streamed, stopped, markdown rendered.

Usage: page.py [--model FILE.gguf] [--screenshot FILE.png]   starts and stops the hosted twin
Needs the Debian packages chromium and chromium-driver. Prints TAP; exit status 1 on failure.
"""
import argparse
import base64
import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ENTER = "\ue007"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Browser:
    """The part of the WebDriver protocol that this test needs."""

    def __init__(self, base):
        self.base = base
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                            "--window-size=900,900"]}
        answer = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": {
            "acceptInsecureCerts": True, "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = "/session/" + answer["sessionId"]

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, url):
        self.ask("POST", self.session + "/url", {"url": url})

    def run(self, script):
        return self.ask("POST", self.session + "/execute/sync", {"script": script, "args": []})

    def find(self, selector):
        found = self.ask("POST", self.session + "/element", {"using": "css selector", "value": selector})
        return self.session + "/element/" + next(iter(found.values()))

    def type(self, selector, text):
        self.ask("POST", self.find(selector) + "/value", {"text": text})

    def click(self, selector):
        self.ask("POST", self.find(selector) + "/click", {})

    def wait(self, script, seconds, what):
        end = time.time() + seconds
        while time.time() < end:
            if value := self.run(script):
                return value
            time.sleep(0.05)
        raise AssertionError(f"{what}: not within {seconds} s; the page says: {self.run('return document.body.innerText')}")

    def screenshot(self, path):
        pathlib.Path(path).write_bytes(base64.b64decode(self.ask("GET", self.session + "/screenshot")))

    def problems(self):
        return [entry["message"] for entry in self.ask("POST", self.session + "/se/log", {"type": "browser"})
                if entry["level"] == "SEVERE"]

    def close(self):
        self.ask("DELETE", self.session)


@contextlib.contextmanager
def process(command, port):
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        yield running
    finally:
        running.terminate()
        running.wait(timeout=20)


def answer_of(browser):
    return browser.run("const all = document.querySelectorAll('.turn.assistant'); return all[all.length - 1].innerText")


def shows_model_and_context(browser, _):
    browser.wait("return /\\d/.test(document.querySelector('#context').innerText)", 20, "the context's size")
    assert "SmolLM2" in browser.run("return document.querySelector('#model').innerText")
    outside = browser.run("return performance.getEntriesByType('resource').map(e => e.name)"
                          ".filter(n => !n.startsWith(location.origin))")
    assert outside == [], f"asked of others: {outside}"


def streams_an_answer(browser, screenshot):
    browser.type("#input", "Write one sentence about the sea." + ENTER)
    lengths = set()
    end = time.time() + 120
    while time.time() < end:
        lengths.add(len(answer_of(browser)))
        if len(lengths) > 5 and browser.run("return document.querySelector('#stop').disabled"):
            break
        time.sleep(0.02)
    browser.wait("return document.querySelector('#stop').disabled", 60, "the end of the answer")
    assert len(lengths) > 3, f"the answer came at once: {lengths}"
    assert len(answer_of(browser)) > 10
    if screenshot:
        browser.screenshot(screenshot)


def stops(browser, _):
    browser.type("#input", "Count from one to one thousand." + ENTER)
    browser.wait("return !document.querySelector('#stop').disabled", 20, "the start of the answer")
    time.sleep(1)
    browser.click("#stop")
    browser.wait("return document.querySelector('#stop').disabled", 10, "the stop")
    before = answer_of(browser)
    time.sleep(1)
    assert answer_of(browser) == before, "text came after the stop"


def renders_markdown_and_no_markup(browser, _):
    text = "# Title\n\n**bold** and `code`\n\n- one\n- two\n\n```\nx < 1\n```\n<img src=x onerror=alert(1)>"
    html = browser.run(f"const d = document.createElement('div'); markdown(d, {json.dumps(text)}); return d.innerHTML")
    for part in ("<strong>bold</strong>", "<code>code</code>", "<li>one</li>", "x &lt; 1", "&lt;img"):
        assert part in html, f"no {part} in {html}"
    assert "<img" not in html, html


def says_nothing_bad(browser, _):
    # While the model loads, /health says 503: the page asks again, the browser grumbles.
    problems = [p for p in browser.problems() if "favicon" not in p and "/health" not in p]
    assert problems == [], problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default=str(ROOT / "build/models/SmolLM2-135M-Instruct.Q4_1.gguf"))
    parser.add_argument("--screenshot", default="")
    arguments = parser.parse_args()
    missing = [f"{tool} (apt-get install {package})" for tool, package in
               (("chromium", "chromium"), ("chromedriver", "chromium-driver")) if not shutil.which(tool)]
    if missing:
        sys.exit("page.py needs " + " and ".join(missing))
    server, driver = free_port(), free_port()
    tests = [shows_model_and_context, streams_an_answer, stops, renders_markdown_and_no_markup, says_nothing_bad]
    failed = 0
    with process([str(ROOT / "build/host/marrow"), f"model={arguments.model}", f"http.port={server}", "run=serve"], server), \
            process(["chromedriver", f"--port={driver}"], driver):
        browser = Browser(f"http://127.0.0.1:{driver}")
        browser.open(f"https://127.0.0.1:{server}/")
        for number, test in enumerate(tests, 1):
            try:
                test(browser, arguments.screenshot)
                print(f"ok {number} - page.{test.__name__}", flush=True)
            except (AssertionError, OSError, KeyError) as error:
                failed += 1
                print(f"#   {error}\nnot ok {number} - page.{test.__name__}", flush=True)
        browser.close()
    print(f"1..{len(tests)}\n{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
