#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The hosted twin as a program of the command line: its help, its version, a file as its model."""
import pathlib
import subprocess
import tempfile

from harness import TWIN, case, check, main


def twin(*words: str, status: int = 0) -> str:
    done = subprocess.run([TWIN, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
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
    """a file named alone is the model, blanks in its name and all; what is wrong with it is said with its name"""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "not a model.gguf"
        path.write_bytes(b"GGUF")
        text = twin(str(path), "run=model; poweroff", status=1)
        check(f"{path} was not loaded: ends in the middle of a field" in text, text)
    text = twin("model=no-such-file.gguf", "run=model; poweroff", status=1)
    check("option model=no-such-file.gguf: no such model" in text, text)


@case
def what_it_does_not_take_is_told():
    """a file that is not there, an unknown option, a value that does not fit: said, status 2, nothing is started"""
    for word, answer in (("no-such-file.gguf", "no such file: no-such-file.gguf"), ("treads=2", "did you mean 'threads'?"),
                         ("--bogus", "unknown option '--bogus'"), ("threads=x", "not a number (takes 0..256)")):
        text = twin(word, "run=poweroff", status=2)
        check(answer in text and text.count("\n") == 2, text)


if __name__ == "__main__":
    main()
