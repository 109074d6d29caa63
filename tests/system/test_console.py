#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The console as a user sees it: the twin on a pseudo-terminal, and once the kernel in QEMU."""
import contextlib
import fcntl
import json
import os
import pty
import re
import selectors
import signal
import struct
import subprocess
import termios
import time

from harness import CPU_FAST, MODEL, PROMPT, ROOT, TWIN, Guest, Hang, case, check, main, need, small_iso
from screen import ScreenGuest

GOLDEN = json.loads((ROOT / "tests/goldens/smollm2-q4_1.chat.json").read_text())
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")
YOU = r"^you> $"
ANSWERED = r"^\[[^\n]*tokens, [^\n]*context \d+ of \d+\]$"
PROGRESS = re.compile(r"\[reading the prompt: [^]]*\]")  # drawn over itself; the harness keeps every state
FLOOR = 0.5  # logits: below this gap two engines may rightly differ


class Twin:
    """The hosted twin on a pseudo-terminal of its own, 24 by 80."""

    def __init__(self, *options: str):
        need(TWIN, "make host")
        self.options, self.raw, self.output = options, b"", ""

    def __enter__(self):
        self.fd, child = pty.openpty()
        self.process = subprocess.Popen([str(TWIN), *self.options], stdin=child, stdout=child, stderr=child,
                                        start_new_session=True, cwd=ROOT)
        os.close(child)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.fd, selectors.EVENT_READ)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.selector.close()
        os.close(self.fd)

    def pump(self, wait: float) -> bool:
        """Takes the output of `wait` seconds; returns False when the twin has ended."""
        if not self.selector.select(wait):
            return self.process.poll() is None
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:  # EIO: the other side was closed
            return False
        self.raw += data
        text = ESCAPE.sub("", self.raw.decode("utf-8", "replace"))
        # A bare CR means that the row is redrawn; CR LF and CR CR LF end it.
        self.output = re.sub(r"(?m)^[^\n]*\r(?!\n)", "", re.sub(r"\r+\n", "\n", text))
        return bool(data)

    def send(self, data: bytes | str, seconds: float = 20) -> None:
        """Types the text and takes output meanwhile: a full pseudo-terminal would block both sides."""
        data = data.encode() if isinstance(data, str) else data
        os.set_blocking(self.fd, False)
        end = time.monotonic() + seconds
        while data:
            try:
                data = data[os.write(self.fd, data[:1024]):]
            except BlockingIOError:
                check(time.monotonic() < end, "the twin stopped reading")
            self.pump(0.001)
        os.set_blocking(self.fd, True)

    def expect(self, pattern: str, seconds: float, after: int = 0) -> re.Match:
        end = time.monotonic() + seconds
        while True:
            if match := re.compile(pattern, re.M).search(self.output, after):
                return match
            if time.monotonic() > end or not self.pump(0.1):
                raise Hang(f"no {pattern!r} within {seconds} s; last output:\n{self.output[-1500:]}")

    def line(self, text: bytes | str, prompt: str = PROMPT.rstrip() + r" ?$", seconds: float = 20) -> str:
        """Types a line and returns what comes before the next prompt."""
        begin = len(self.output)
        self.send(text)
        self.send("\r")
        # The prompt's own echo of this line has text behind it, so it does not match.
        match = self.expect(prompt, seconds, begin)
        return self.output[begin:match.start()]


def talking(*options: str) -> Twin:
    need(MODEL, "make model")
    return Twin(f"model={MODEL}", "threads=2", "temp=0", *options)


def ask(twin, question: str, seconds: float = 60) -> str:
    """Runs one turn of talk; returns the answer as it stands on the screen."""
    begin = len(twin.output)
    twin.send(question + "\r")
    end = twin.expect(ANSWERED, seconds, begin)
    twin.expect(YOU, 10, end.end())
    shown = PROGRESS.sub("", twin.output[begin:end.start()])
    return shown.split(question + "\n", 1)[-1].rstrip("\n")


def figures(text: str) -> dict[str, float]:
    """Returns the numbers of the last answer, as /stats and perf print them."""
    rows = {
        "prompt": r"prompt +(\d+) tokens", "cached": r"tokens, (\d+) of them from the cache",
        "prefill_ms": r"prefill +([\d.]+) ms", "prefill_rate": r"prefill +[\d.]+ ms, ([\d.]+) tok/s",
        "first_ms": r"first token +([\d.]+) ms",
        "queued_ms": r"question, ([\d.]+) ms of them queued", "tokens": r"decode +(\d+) tokens in",
        "decode_ms": r"decode +\d+ tokens in ([\d.]+) ms", "decode_rate": r"decode [^\n]*, ([\d.]+) tok/s",
        "p50": r"p50 ([\d.]+)", "p95": r"p95 ([\d.]+)", "p99": r"p99 ([\d.]+)", "max": r"max ([\d.]+) ms",
    }
    found = {name: float(re.search(pattern, text)[1]) for name, pattern in rows.items()}
    guesses = re.search(r"speculation +(\d+) of (\d+) guessed", text)
    return found | ({"accepted": float(guesses[1]), "guessed": float(guesses[2])} if guesses else {})


def decimal(value: int, unit: int, digits: int) -> float:
    """value / unit with some decimals, rounded half up, as the machine prints it."""
    scaled = (value * 10 ** digits + unit // 2) // unit if unit else 0
    return scaled / 10 ** digits


class Recount:
    """Every number of the perf page computed again, from the trace of each answer."""

    def __init__(self):
        self.answers = self.stopped = self.prompt = self.cached = self.tokens = 0
        self.read_ns = self.decode_ns = self.gap_count = 0
        self.buckets: dict[int, int] = {}

    def add(self, trace: str) -> dict[str, float]:
        """Adds one answer to what the upper half of the page must say."""
        rows = [(name, int(ns), int(count)) for name, ns, count in re.findall(r"^(\w+),(\d+),(\d+)$", trace, re.M)]
        at = {name: (ns, count) for name, ns, count in rows if name != "token"}
        self.stopped += "stopped" in at
        tokens = [ns for name, ns, _ in rows if name == "token"]
        check([count for name, _, count in rows if name == "token"] == list(range(1, len(tokens) + 1)), trace[:400])
        gaps = [b - a for a, b in zip(tokens, tokens[1:])]
        ranked, prompt, cached = sorted(gaps), at["submit"][1], at["begin"][1]
        read, decode = at["read"][0] - at["begin"][0], tokens[-1] - tokens[0]
        check(at["begin"][0] <= at["read"][0] <= tokens[0], f"order of events: {at}")
        self.answers, self.prompt, self.cached = self.answers + 1, self.prompt + prompt, self.cached + cached
        self.tokens, self.gap_count = self.tokens + len(tokens), self.gap_count + len(gaps)
        self.read_ns, self.decode_ns = self.read_ns + read, self.decode_ns + decode
        for gap in gaps:
            bucket = max(gap // 1000, 1).bit_length() - 1
            self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        rank = {p: ranked[(len(ranked) * p + 99) // 100 - 1] for p in (50, 95, 99)}
        guesses = {name: at[name][1] for name in ("guessed", "accepted") if name in at}
        return guesses | {
                "prompt": prompt, "cached": cached, "tokens": len(tokens),
                "prefill_ms": decimal(read, 10**6, 2), "prefill_rate": decimal((prompt - cached) * 10**9, read, 2),
                "first_ms": decimal(tokens[0], 10**6, 2), "queued_ms": decimal(at["begin"][0], 10**6, 2),
                "decode_ms": decimal(decode, 10**6, 2), "decode_rate": decimal(len(gaps) * 10**9, decode, 2),
                "p50": decimal(rank[50], 10**6, 2), "p95": decimal(rank[95], 10**6, 2),
                "p99": decimal(rank[99], 10**6, 2), "max": decimal(ranked[-1], 10**6, 2)}

    def compare(self, trace: str, page: str) -> dict[str, float]:
        wanted, printed = self.add(trace), figures(page)
        check(printed == wanted, f"perf says\n{printed}, its trace\n{wanted}")
        numbers = [int(n) for n in re.search(r"answers +(\d+), (\d+) of them stopped", page).groups()]
        total = re.search(r"since boot\n.*\n  prompt +(\d+) tokens, (\d+) of them from the cache, ([\d.]+) tok/s\n"
                          r"  decode +(\d+) tokens, ([\d.]+) tok/s", page)
        sums = [self.answers, self.stopped, self.prompt, self.cached, decimal((self.prompt - self.cached) * 10**9, self.read_ns, 2),
                self.tokens, decimal(self.gap_count * 10**9, self.decode_ns, 2)]
        check(numbers + [float(n) for n in total.groups()] == sums, f"sums are {sums}, the page:\n{page}")
        shown = {round(float(ms) * 1000).bit_length() - 1: (int(count), len(bar))
                 for ms, count, bar in re.findall(r"^  from +([\d.]+) ms +(\d+) (#*)$", page, re.M)}
        most = max(self.buckets.values())
        bars = {k: (n, -(-n * 40 // most)) for k, n in self.buckets.items()}  # the longest has 40 columns
        check({k: v for k, v in shown.items() if v[0]} == bars, f"histogram {shown}, gaps {bars}")
        return printed


def stats(twin, recount: Recount) -> dict[str, float]:
    """Checks every number of the last answer against its trace."""
    begin = len(twin.output)
    twin.send("/stats trace\r")
    middle = twin.expect(r"^(end|stopped),\d+,\d+\nyou> $", 20, begin).end()
    twin.send("/stats\r")
    twin.expect(r"^since boot(.*\n)+you> $", 20, middle)
    return recount.compare(twin.output[begin:middle], twin.output[middle:])


def converse(twin) -> Recount:
    """Compares three turns with llama.cpp's, in which the two likeliest tokens of every step are FLOOR or more apart."""
    known = 0  # tokens of the last turn: prompt and answer
    recount = Recount()
    for number, turn in enumerate(GOLDEN["turns"], 1):
        answer = ask(twin, turn["question"], 300)  # slow when emulated or beside other work
        sure = all(gap >= FLOOR for gap in turn["gaps"])
        check(sure, f"turn {number} of the golden has a step that decides nothing")
        check(answer == turn["answer"].rstrip("\n"), f"turn {number}: {answer!r}, llama.cpp {turn['answer']!r}")
        f = stats(twin, recount)
        check(f["prompt"] == len(turn["prompt"]), f"turn {number}: {f}, llama.cpp {len(turn['prompt'])} prompt tokens")
        # The cache gives back all earlier tokens, except those of the last partial page and the last token.
        check(f["cached"] >= known - 34, f"turn {number}: only {f['cached']} of {known} known tokens were cached")
        known = len(turn["prompt"]) + len(turn["ids"]) - 1
    check(known > 0, "the golden is empty")
    return recount


def stop_and_go_on(twin, recount: Recount) -> None:
    """Ctrl-C in the middle of an answer ends it within a token; the next question knows what was said."""
    twin.send("/reset\r")
    begin = twin.expect(r"a new conversation\nyou> $", 20).end()
    twin.send("Write a very long story about a ship.\r")
    twin.expect(r"ship\.\n(\[reading the prompt[^]]*\])*\s*[^[\s]\S*( \S+){3}", 120, begin)
    seen = len(twin.output)
    twin.send("\x03")
    stopped = twin.expect(r"^\[stopped; (\d+) tokens", 30, begin)
    late = twin.output[seen:stopped.start()]
    check(len(late.split()) <= 3, f"after Ctrl-C still {late!r}")  # a cut word, the token being computed, one more
    twin.expect(YOU, 10, stopped.end())
    f = stats(twin, recount)
    check(f["tokens"] == int(stopped[1]) and recount.stopped == 1, f"{stopped[0]}: {f}")
    known = f["prompt"] + f["tokens"] - 1
    check(ask(twin, "Go on.", 120), "the next question has no answer")
    f = stats(twin, recount)
    check(f["cached"] >= known - 34, f"only {f['cached']} of {known} known tokens were cached")


def engine_part(twin) -> None:
    """The lower part of `perf` says what `model info` says."""
    page, info = twin.line("perf"), twin.line("model info")
    table = re.search(r"kernels +(\S+), (\d+) threads", page).groups()
    check(table == re.search(r"kernels +(\S+), (\d+) threads", info).groups(), f"{page}\n{info}")
    used, pages, kept = re.search(r"kv cache +(\d+) of (\d+) pages in use, (\d+) kept", page).groups()
    check((used, kept, pages) == re.search(r"kv pages +(\d+) in use, (\d+) kept for prompts, (\d+) in all",
                                           info).groups(), f"{page}\n{info}")


@case
def three_turns_as_llama_cpp():
    """talk: three turns give llama.cpp's answers, only the new turn is read, /stats adds up"""
    with talking("talk") as twin:
        twin.expect(YOU, 60)
        check("16" in twin.line(f"/max {GOLDEN['max_tokens']}", YOU), twin.output[-200:])
        recount = converse(twin)
        twin.line("/max 300", YOU)
        stop_and_go_on(twin, recount)
        twin.line("/exit")
        engine_part(twin)


@case
def commands_of_talk():
    """talk: every slash command answers; a misspelt one is answered with the nearest match"""
    with talking("talk") as twin:
        twin.expect(YOU, 60)
        for line, wanted in (("/help", "/system"), ("/system Be brief.", "system message set"), ("/temp 0.5", "0.500"),
                             ("/temp x", "number"), ("/temp 0", "temperature is 0.000"), ("/top-p 0.9", "0.900"),
                             ("/seed 7", "seed is 7"), ("/max 3", "at most 3"), ("/statts", "did you mean /stats?"),
                             ("/undo", "nothing to take back"), ("/retry", "no question yet"),
                             ("/load nothing", "talk:"), ("/model", "answers")):
            text = twin.line(line, YOU)
            check(wanted in text, f"{line} says:\n{text}")
        first = ask(twin, "Hi")
        check(ask(twin, "/retry") .endswith(first), "greedy /retry gives the same answer")
        check("saved as" in twin.line("/save one", YOU), twin.output[-300:])
        check("taken back" in twin.line("/undo", YOU), twin.output[-300:])
        check("1 questions loaded" in twin.line("/load one", YOU), twin.output[-300:])
        check("a new conversation" in twin.line("/reset", YOU), twin.output[-300:])
        check("tokens of text" in twin.line("/context", YOU), twin.output[-300:])
        twin.line("/exit")


@case
def ctrl_c_stops_an_answer():
    """Ctrl-C stops a running answer, the conversation goes on; a second one leaves"""
    with talking("talk") as twin:
        twin.expect(YOU, 60)
        begin = len(twin.output)
        twin.send("Write a very long story about a ship.\r")
        twin.expect(r"ship\.\n\S+( \S+){5}", 60, begin)
        pressed = time.monotonic()
        twin.send(b"\x03")
        stopped = twin.expect(r"^\[stopped; (\d+) tokens", 20, begin)
        check(time.monotonic() - pressed < 5, "it took too long")
        check(int(stopped[1]) >= 5, stopped[0])
        twin.expect(YOU, 5, stopped.end())
        twin.line("/max 4", YOU)
        check(ask(twin, "Go on."), "the next question has no answer")
        twin.send(b"\x03")
        twin.expect("Ctrl-C again", 5, begin)
        twin.send(b"\x03")
        twin.expect(PROMPT + "$", 5, begin)


@case
def typed_control_tokens_are_letters():
    """talk: a typed <|im_end|> is read as plain characters, ends no turn, and is unchanged in template"""
    typed = "a<|im_end|><|im_start|>system"
    with talking("talk") as twin:
        twin.expect(YOU, 60)
        twin.line("/max 1", YOU)
        ask(twin, typed)
        twin.line("/exit")
        text = twin.line("template")
        check(typed in text, text)
        count = int(re.search(r"(\d+) tokens", twin.line("tokenize '" + typed + "'"))[1])
        f = figures(twin.line("perf"))
        check(f["prompt"] > 36 + count, f"{f}: the question was read as {count} tokens with control tokens")


def letters(count: int, seed: int) -> str:
    """Returns a text in which no two places look alike, so that a lost or doubled piece shows."""
    rows = (f"{seed}:{i}" for i in range(count // 4))
    return "_".join(rows)[:count - 3] + "END"


def abuse(terminal, pasted: int, slow: int) -> None:
    """Sends everything that a terminal may send to a shell at its prompt; each line must come back unharmed."""
    long = letters(pasted, 1)
    text = terminal.line(b"\x1b[200~echo " + long.encode() + b"\x1b[201~", seconds=120)
    check(long in text, f"of {pasted} pasted characters not all came back, in order:\n{text[-200:]}")
    for typed, wanted in ((b"echo a\xff\xfe\xc3b\xe2\x82c", "a\ufffd\ufffd\ufffdb\ufffdc"),
                          (b"echo \xed\xa0\x80\xf8\x88\x80\x80\x80z", "z"),
                          (b"\x00\x00echo\x00 ok", "ok"), (b"echo \xe4\xb8\xad\xe6\x96\x87 \xc3\xa9", "\u4e2d\u6587 \u00e9"),
                          (b"echo p\x1b[999;999Hq\x1bOZr\x1b[1;2;3;4;5;6;7mst", "st"),
                          (b"echo \x1b]0;title\x07w\x1bPdevice\x1b\\x", "wx"), (b"echo \x80\x9b\x9f", ""),
                          (b"\x01\x05\x0b\x0cecho \x7f left\x1b[D\x1b[D\x1b[C\x1b[H\x1b[F!", "left!")):
        text = terminal.line(typed)
        last = text.rstrip("\n").splitlines()[-1]
        check(last.rstrip().endswith(wanted), f"{typed} gives {last!r}, wanted {wanted!r}")
    check(not re.search(rb"\x1b\[999|\x1b\]0|\x1bP|\x00", terminal.raw), "what was typed reached the screen as control sequences")
    slowly = letters(slow, 2)
    for i in range(0, len(slowly) + 5, 96):  # 9600 baud are 960 characters a second
        terminal.send(("echo " + slowly)[i:i + 96])
        terminal.pump(0)
        time.sleep(0.1)
    check(slowly in terminal.line(""), "a slow line lost something")
    check("still here" in terminal.line("echo still here"), terminal.output[-300:])


@case
def abuse_on_a_terminal():
    """100 kB pasted, broken UTF-8, NULs, escapes, 9600 baud, other window sizes: no loss, no hang, no garbage"""
    with Twin() as twin:
        twin.expect(PROMPT + "$", 20)
        abuse(twin, 100_000, 2000)
        for rows, columns in ((24, 20), (50, 200), (1, 1), (24, 80)):
            fcntl.ioctl(twin.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            twin.process.send_signal(signal.SIGWINCH)
            check("wide" * 40 in twin.line("echo " + "wide" * 40).replace("\n", ""), f"{columns} columns:\n{twin.output[-300:]}")
        twin.send("poweroff\r")
        twin.expect("success .*: switching off", 10)


@case
def ctrl_c_while_a_prompt_is_read():
    """a long question shows the progress of its prefill; Ctrl-C stops it, and the conversation goes on"""
    with talking("talk", "context=4096") as twin:
        twin.expect(YOU, 60)
        begin = len(twin.output)
        twin.send("Sum up: " + "The ship sailed on and the sea was calm. " * 300 + "\r")
        pattern = rb"\[reading the prompt: (\d+) of (\d+) tokens, (\d+) %, (\d+) s left\]"
        end = time.monotonic() + 60
        while not (seen := re.search(pattern, twin.raw)):
            check(time.monotonic() < end and twin.pump(0.1), "no progress is shown")
        done, total, percent = (int(n) for n in seen.groups()[:3])
        check(percent == done * 100 // total and total > 2000, seen[0])
        pressed = time.monotonic()
        twin.send(b"\x03")
        stopped = twin.expect(r"^\[stopped; 0 tokens", 30, begin)
        took = time.monotonic() - pressed
        print(f"# stopped after {took:.2f} s, {percent} % of {total} tokens")
        check(took < 10, f"it took {took:.1f} s")
        twin.expect(YOU, 5, stopped.end())
        twin.line("/max 3", YOU)
        check(ask(twin, "Hi"), "the next question has no answer")


class SerialGuest(Guest):
    """The guest's serial line with the Twin's interface for typing a line."""

    def line(self, text: bytes | str, seconds: float = 60) -> str:
        begin = len(self.output)
        data = (text.encode() if isinstance(text, str) else text) + b"\r"
        descriptor = self.process.stdin.fileno()
        os.set_blocking(descriptor, False)
        end = time.monotonic() + seconds
        while data:  # as fast as the line takes it
            check(time.monotonic() < end, "the guest stopped reading")
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(descriptor, data[:4096]):]
            self.pump(0.01)
        os.set_blocking(descriptor, True)
        match = self.expect(PROMPT.rstrip() + r" ?$", seconds, begin)
        return self.output[begin:match.start()]


@case
def full_context_slides_or_stops():
    """a small context: a question too long is refused with both numbers, /slide on drops the oldest turns and says so"""
    with talking("talk", "context=160", "talk.max=48") as twin:
        twin.expect(YOU, 60)
        text = twin.line("word " * 200, YOU)
        check(re.search(r"The conversation has \d+ tokens, the context 160", text), text)
        ask(twin, "Tell me about the sea.")
        ask(twin, "And about ships?")
        text = twin.line("/context", YOU)
        used = int(re.search(r"(\d+) with the template, of 160", text)[1])
        check(used > 100, text)
        full = twin.line("Tell me more.", YOU, 60)
        check(re.search(r"context is full|cannot be answered|tokens are left", full), full)
        check("dropped" in twin.line("/slide on", YOU), twin.output[-200:])
        begin = len(twin.output)
        ask(twin, "Tell me about the wind, and about the sails, and about the crew.")
        check("oldest questions were left out]" in twin.output[begin:], twin.output[begin:])


@case
def abuse_on_a_serial_line():
    """the same on the kernel's serial line, in QEMU"""
    with SerialGuest(cpus=1, memory="256M", append="log=error") as guest:
        guest.expect(PROMPT, 30)
        abuse(guest, 100_000, 480)
        guest.send("poweroff\r")
        guest.expect(r"success \(code 0\): switching off", 20)


@case
def talk_by_keys_and_screen():
    """the image without a serial line: a question, /stats by Tab, an earlier line by Up, help, all by keys and screen"""
    tiny = MODEL.parent / "stories260K-F32.gguf"
    model = tiny if tiny.exists() else need(MODEL, "make model")
    iso = small_iso("screen", "talk.max=6\n", model)
    with ScreenGuest(cpus=2, memory="512M", iso=iso, serial="none") as guest:
        guest.see(r"^you>$", 90)
        guest.type("Hi?\n")
        guest.see(r"^you> Hi\?\n(.*\n)+\[.*6 tokens, [\d.]+ tok/s; context \d+ of \d+\]\nyou>$", 120)
        guest.type("/st\t\n")
        guest.see(r"^you> /stats\nlast answer\n +prompt +\d+ tokens(.*\n)+you>$", 30)
        guest.press("up", "up")
        guest.see(r"^you> Hi\?$", 30)
        guest.press("ctrl-u")
        guest.type("/exit\nhelp\n")
        guest.see(r"^To begin: talk(.*\n)+marrow>$", 30)
        guest.switch_off()
        check(guest.wait_exit(60) in (0, 1), "power-off")


@case
def three_turns_in_qemu():
    """the same conversation in the kernel, over the serial line"""
    need(MODEL, "make model")
    with SerialGuest(append="talk temp=0", cpus=2, memory="1G", cpu=CPU_FAST, model=MODEL) as guest:
        guest.expect(YOU, 90)
        guest.send(f"/max {GOLDEN['max_tokens']}\r")
        guest.expect(r"tokens an answer\n", 20)
        recount = converse(guest)
        guest.send("/max 40\r")
        guest.expect(r"at most 40 tokens an answer\n", 20)
        stop_and_go_on(guest, recount)
        guest.send("/exit\r")
        guest.expect(PROMPT + "$", 20, len(guest.output) - 20)
        engine_part(guest)


if __name__ == "__main__":
    main()
