#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The hosted twin as a program of the command line: its help, its version, a file as its model."""
import http.client
import pathlib
import subprocess
import tempfile
import threading
import time

import serving
from harness import PATIENCE, TWIN, case, check, main


def twin(*words: str, status: int = 0) -> str:
    done = subprocess.run([TWIN, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * PATIENCE,
                          check=False)
    check(done.returncode == status, f"status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


@case
def help_and_version():
    """--help names the usage and the options and ends; --version is one line"""
    text = twin("--help")
    check("usage: marrow [MODEL.gguf]" in text and "threads=0..256" in text, text)
    text = twin("--version")
    check(text.startswith("Marrow ") and text.count("\n") == 1, text)


@case
def file_alone_is_the_model():
    """a file as the only argument is the model, even with blanks in its name; errors name the file"""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "not a model.gguf"
        path.write_bytes(b"GGUF")
        text = twin(str(path), "run=model; poweroff", status=1)
        check(f"{path} was not loaded: ends in the middle of a field" in text, text)
    text = twin("model=no-such-file.gguf", "run=model; poweroff", status=1)
    check("option model=no-such-file.gguf: no such model" in text, text)


@case
def what_it_does_not_take_is_told():
    """a missing file, an unknown option, a value that does not fit: a message, status 2, nothing is started"""
    for word, answer in (("no-such-file.gguf", "no such file: no-such-file.gguf"), ("treads=2", "did you mean 'threads'?"),
                         ("--bogus", "unknown option '--bogus'"), ("threads=x", "not a number (takes 0..256)")):
        text = twin(word, "run=poweroff", status=2)
        check(answer in text and text.count("\n") == 2, text)


@case
def keys_that_are_none():
    """a server with malformed keys, or without keys on an open network, does not start and says why"""
    for word, answer in (("api_key=", "a key of api_key= or admin_key= is empty"),
                         ("api_key=one,,two", "a key of api_key= or admin_key= is empty"),
                         ("api_key=one,", "a key of api_key= or admin_key= is empty"),
                         ("admin_key=", "a key of api_key= or admin_key= is empty"),
                         ("api_key=sha256:12", "sha256: must be followed by 64 hexadecimal digits"),
                         ("api_key.file=/host/no/such/file", "serve: no such file"),
                         ("http.bind=0.0.0.0", "set api_key= or auth=none"),
                         ("http.bodies_mb=5", "http.bodies_mb= must be twice http.body_mb=")):
        text = twin(word, "http.port=0", "run=serve; poweroff", status=1)
        check(answer in text, text)
        check('"event":' not in text, text)


@case
def key_file_that_changes():
    """a key file that becomes empty or broken while the server runs changes no key"""
    with tempfile.TemporaryDirectory() as folder:
        path, port = pathlib.Path(folder) / "keys", serving.free_port()
        path.write_text("one\nadmin boss\n", encoding="ascii")
        process = subprocess.Popen([TWIN, f"api_key.file=/host{path}", f"http.port={port}", "run=serve"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            said = []
            reader = threading.Thread(target=lambda: said.extend(iter(process.stdout.readline, "")), daemon=True)
            reader.start()
            until(lambda: any('"event":"listening"' in line for line in said), said)  # without a model it is not ready
            check(status(port) == 401 and status(port, "one") == 200 and status(port, "boss") == 200, "keys")
            for text, word in (("", "has no key"), ("sha256:12\n", "64 hexadecimal digits"), ("admin\n", "a key is empty")):
                path.write_text(text, encoding="ascii")
                until(lambda word=word: any("the keys stay as they were" in line and word in line for line in said), said)
                check(status(port) == 401 and status(port, "one") == 200, f"after {text!r}")
            path.write_text("two\n", encoding="ascii")
            until(lambda: status(port, "two") == 200, said)
            check(status(port, "one") == 401 and status(port) == 401, "the old key still opens")
        finally:
            process.kill()
            process.wait()


def status(port: int, key: str = "") -> int:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30 * PATIENCE)
    line.request("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"} if key else {})
    return line.getresponse().status


def until(true, said: list[str]) -> None:
    end = time.time() + 60
    while not true():
        check(time.time() < end, "".join(said))
        time.sleep(0.05)


if __name__ == "__main__":
    main()
