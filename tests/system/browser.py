# SPDX-License-Identifier: GPL-2.0-or-later
"""Headless Chromium by the WebDriver protocol, as far as page.py needs it."""
import base64
import contextlib
import json
import pathlib
import socket
import subprocess
import time
import urllib.request

ENTER, ESCAPE, SHIFT, UP = "\ue007", "\ue00c", "\ue008", "\ue013"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # W3C WebDriver, section 12: the name of a reference


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def process(command, port):
    """Runs a program until the block ends; the block begins when the port takes connections."""
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


class Browser:
    """A session; `downloads` is the folder where it saves files."""

    def __init__(self, base, downloads):
        self.base = base
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                            "--window-size=1000,900"],
                   "prefs": {"download.default_directory": str(downloads)}}
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

    def run(self, script, *arguments):
        return self.ask("POST", self.session + "/execute/sync", {"script": script, "args": arguments})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def find(self, selector):
        found = self.ask("POST", self.session + "/element", {"using": "css selector", "value": selector})
        return self.session + "/element/" + found[ELEMENT]

    def find_all(self, selector):
        found = self.ask("POST", self.session + "/elements", {"using": "css selector", "value": selector})
        return [self.session + "/element/" + one[ELEMENT] for one in found]

    def label(self, element):
        """What a screen reader calls the element."""
        return self.ask("GET", element + "/computedlabel")

    def type(self, selector, text):
        self.ask("POST", self.find(selector) + "/value", {"text": text})

    def fill(self, selector, text):
        self.ask("POST", self.find(selector) + "/clear", {})
        self.type(selector, text)

    def click(self, selector):
        self.ask("POST", self.find(selector) + "/click", {})

    def size(self, width, height):
        self.ask("POST", self.session + "/window/rect", {"width": width, "height": height})

    def wait(self, script, seconds, what, *arguments):
        end = time.time() + seconds
        while time.time() < end:
            if value := self.run(script, *arguments):
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
