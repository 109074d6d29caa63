# SPDX-License-Identifier: GPL-2.0-or-later
"""What the system tests share: cases that print TAP, the guest, and the hosted twin on a pseudo-terminal."""
import concurrent.futures
import os
import pathlib
import socket
import subprocess
import sys
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from qemu_test import CPU_FAST, KERNEL, PATIENCE, Guest, Hang  # noqa: E402,F401

TWIN = ROOT / "build/host/marrow"
ISO = ROOT / "build/marrow.iso"
MODEL = ROOT / "build/models/SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPT = r"^marrow> "

FAILURES = (AssertionError, Hang, OSError, ValueError, KeyError, AttributeError, IndexError, subprocess.SubprocessError)

_cases = []
_timed = []


class Skip(Exception):
    """Raised by a case that cannot run here, with the reason."""


def case(function):
    """Marks a function as a test case; its docstring's first line is what the report shows."""
    _cases.append(function)
    return function


def timed(function):
    """Marks a case whose result depends on the machine's speed. It runs with --timing only (`make timing`)."""
    _timed.append(function)
    return function


def check(condition, message: str) -> None:
    """Asserts, says what it saw on failure, and works under python -O too."""
    if not condition:
        raise AssertionError(message)


def main() -> None:
    """Runs every case, or those whose name contains one of the arguments; prints TAP and the closing verdict."""
    cases = _timed if "--timing" in sys.argv else _cases
    wanted = [word for word in sys.argv[1:] if word != "--timing"] or [""]
    passed = failed = skipped = 0
    for number, function in enumerate((c for c in cases if any(w in c.__name__ for w in wanted)), 1):
        title = (function.__doc__ or function.__name__).strip().splitlines()[0]
        try:
            function()
        except Skip as reason:
            skipped += 1
            print(f"ok {number} - {title} # SKIP {reason}", flush=True)
        except FAILURES as error:
            failed += 1
            print(f"not ok {number} - {title}", flush=True)
            lines = (str(error) or traceback.format_exc()).splitlines()
            print("\n".join(f"#   {line}" for line in lines[-40:]), flush=True)
        else:
            passed += 1
            print(f"ok {number} - {title}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not passed else 0)


def need(path: pathlib.Path, how: str) -> pathlib.Path:
    if not os.path.exists(path):
        raise Skip(f"{path.name} is missing: {how}")
    return path


def in_pairs(function, rows) -> None:
    """Calls function(*row) for every row, two at a time (a guest keeps one core busy) or MARROW_GUESTS; reports all failures."""
    def one(row):
        try:
            function(*row)
        except FAILURES as error:
            return f"{' '.join(map(str, row))}: {error or traceback.format_exc()}"
        return None

    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("MARROW_GUESTS", "2"))) as pool:
        wrong = [text for text in pool.map(one, rows) if text]
    check(not wrong, "\n".join(wrong))


def to_prompt(guest: Guest, seconds: float) -> bool:
    """Waits for the prompt; an image with a model begins with a conversation. Returns True if there was one."""
    talks = guest.expect(rf"{PROMPT}|^you> ", seconds)[0] == "you> "
    if talks:
        guest.send("/exit\r")
        guest.expect(PROMPT, 60)
    return talks


class Monitor:
    """QEMU's human monitor on a socket."""

    def __init__(self, path: str):
        self.path = path

    def say(self, line: str, seconds: float = 5) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(seconds)
            link.connect(self.path)
            said = b""
            while not said.endswith(b"(qemu) "):
                said += link.recv(4096)
            link.sendall(line.encode() + b"\n")
            said = b""
            while not said.endswith(b"(qemu) "):
                said += link.recv(4096)
        return said.decode(errors="replace")


def small_iso(name: str = "small", config: str = "", model: pathlib.Path | list[pathlib.Path] | None = None,
              keys: list[pathlib.Path] | None = None) -> pathlib.Path:
    """Makes an image that starts at once, with these lines in its marrow.cfg, and no model, bundle or key unless one is named."""
    folder = ROOT / "build/test"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.cfg").write_text(config)
    iso = folder / f"{name}.iso"
    named = model if isinstance(model, list) else [model] if model else []
    models = [word for one in named for word in ("-m", str(one))]
    models += [word for key in keys or [] for word in ("-p", str(key))]
    subprocess.run(["scripts/create_iso.sh", "-t", "0", "-c", str(folder / f"{name}.cfg"), "-o", str(iso), *models],
                   cwd=ROOT, check=True, capture_output=True)
    return iso
