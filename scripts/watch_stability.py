#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Watches a long stability run over a serial line: watch_stability.py [SOURCE] [-o FILE.csv] [--silence SECONDS]

watch_stability.py /dev/ttyUSB0 --baud 115200     a machine on a serial cable (booted with stability=72h)
watch_stability.py tcp:lab7:2001                  a terminal server, or QEMU -serial tcp:...
watch_stability.py -- COMMAND [ARGUMENT...]       starts it and reads its output (QEMU, the hosted twin)
watch_stability.py < LOG                          a recorded log

Writes a CSV row a progress line, with the time it came; the rows of a run that goes on after a
restart (--resume) follow each other. Ends with the machine's verdict: exit status 0 for PASSED, 1
for FAILED or a panic, 2 for STOPPED, 3 when the machine said nothing for --silence seconds or the
line ended without a verdict, 4 for TOO SHORT to tell.
"""
import argparse
import contextlib
import csv
import datetime
import os
import re
import selectors
import socket
import subprocess
import sys
import termios
import tty

LINE = re.compile(r"stability: (minute|end) ((?:\w+=[\d.]+ ?)+)")
VERDICTS = {"PASSED": 0, "FAILED": 1, "STOPPED": 2, "TOO SHORT": 4}
NO_VERDICT = 3


@contextlib.contextmanager
def opened(options: argparse.Namespace):
    """The descriptor to read from."""
    if options.command:
        with subprocess.Popen(options.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as process:
            try:
                yield process.stdout.fileno()
            finally:
                process.kill()
    elif options.source.startswith("tcp:"):
        host, port = options.source[4:].rsplit(":", 1)
        with socket.create_connection((host, int(port))) as line:
            yield line.fileno()
    elif options.source == "-":
        yield sys.stdin.fileno()
    else:
        descriptor = os.open(options.source, os.O_RDONLY | os.O_NOCTTY)
        if os.isatty(descriptor):
            tty.setraw(descriptor)
            attributes = termios.tcgetattr(descriptor)
            attributes[4] = attributes[5] = getattr(termios, f"B{options.baud}")
            termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
        yield descriptor
        os.close(descriptor)


def lines_of(descriptor: int, silence: float):
    """Yields lines as they arrive, and None when the source is silent for too long."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(descriptor, selectors.EVENT_READ)
            watched = True
        except PermissionError:  # a plain file is always ready
            watched = False
        while True:
            if watched and not selector.select(silence):
                yield None
                return
            data = os.read(descriptor, 1 << 16)
            if not data:
                break
            *whole, rest = (rest + data).split(b"\n")
            yield from (line.decode("utf-8", "replace").rstrip("\r") for line in whole)
    yield rest.decode("utf-8", "replace")


class Table:
    """The CSV: columns of the first line, and any that come later at the end of a new head."""

    def __init__(self, path: str):
        self.file = sys.stdout if path == "-" else open(path, "a", encoding="utf-8", newline="")
        self.writer, self.columns = csv.writer(self.file, lineterminator="\n"), None

    def add(self, title: str, figures: dict[str, str]) -> None:
        if self.columns != list(figures):
            self.columns = list(figures)
            self.writer.writerow(["time", "line", *self.columns])
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        self.writer.writerow([now, title, *figures.values()])
        self.file.flush()


def watch(options: argparse.Namespace) -> int:
    table = Table(options.output)
    with opened(options) as descriptor:
        for line in lines_of(descriptor, options.silence):
            if line is None:
                print(f"watch_stability: nothing for {options.silence:g} s", file=sys.stderr)
                return NO_VERDICT
            if match := LINE.search(line):
                table.add(match[1], dict(pair.split("=") for pair in match[2].split()))
            elif "stability: FAULT" in line or "panic on CPU" in line:
                print(line, file=sys.stderr)
                if "panic" in line:
                    return VERDICTS["FAILED"]
            elif verdict := re.search(r"stability: (PASSED|FAILED|STOPPED|TOO SHORT)\b", line):
                print(line, file=sys.stderr)
                return VERDICTS[verdict[1]]
    print("watch_stability: the input ended without a verdict", file=sys.stderr)
    return NO_VERDICT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="-")
    parser.add_argument("-o", "--output", default="-", help="CSV; appended to")
    parser.add_argument("--baud", type=int, default=115200)
    parser.add_argument("--silence", type=float, default=300, help="seconds without a line that count as a hang")
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:split])
    options.command = words[split + 1:]
    sys.exit(watch(options))


if __name__ == "__main__":
    main()
