# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's screen and PS/2 keyboard through QEMU's monitor; the pixels are read back as text."""
import pathlib
import re
import socket
import tempfile
import time

from harness import PATIENCE, ROOT, Guest, Hang

KEYS = {" ": "spc", "-": "minus", "\n": "ret", ";": "semicolon", ".": "dot", "/": "slash", "=": "equal",
        "\t": "tab", "?": "shift-slash", '"': "shift-apostrophe", ",": "comma"}
FONT = ROOT / "build/generated/font.h"


def glyphs() -> dict[bytes, str]:
    """Returns the kernel's font: 16 rows of 8 pixels for each character."""
    text = FONT.read_text()
    tables, codes = text.split("kFontCodes[]")
    bitmaps = [bytes(int(b, 16) for b in row.split(", ")) for row in re.findall(r"\{(0x[^{}]+)\}", tables)]
    found: dict[bytes, str] = {}
    for code, glyph in re.findall(r"\{0x([0-9a-f]+), (\d+)\}", codes):
        found.setdefault(bitmaps[int(glyph)], chr(int(code, 16)))
    return found


def read_text(ppm: bytes, font: dict[bytes, str]) -> list[str]:
    """Returns the lines of text on a picture. A cell that is no character of the font reads as U+FFFD."""
    _, size, _, pixels = ppm.split(b"\n", 3)
    width, height = map(int, size.split())
    scale = 2 if width >= 2560 else 1  # as the kernel draws on a large screen
    lit = [bytes(1 if any(pixels[i:i + 3]) else 0 for i in range(y * width * 3, (y + 1) * width * 3, 3 * scale))
           for y in range(0, height, scale)]
    width, height = width // scale, height // scale
    lines = []
    for top in range(0, height - 15, 16):
        line = ""
        for left in range(0, width - 7, 8):
            cell = bytes(int("".join("01"[b] for b in row[left:left + 8]), 2) for row in lit[top:top + 16])
            line += font.get(cell, "\ufffd")
        lines.append(line.rstrip(" \u2588"))  # the cursor is a full block
    return lines


class ScreenGuest(Guest):
    """A guest with a framebuffer, watched and typed into as a person would."""

    def __init__(self, **options):
        self.folder = tempfile.TemporaryDirectory()
        extra = ["-monitor", f"unix:{self.folder.name}/monitor,server=on,wait=off", *options.pop("extra", ())]
        super().__init__(extra=extra, **options)
        self.font = glyphs()

    def __enter__(self):
        super().__enter__()
        self.monitor = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + 60 * PATIENCE
        while True:
            try:
                self.monitor.connect(f"{self.folder.name}/monitor")
                break
            except (FileNotFoundError, ConnectionRefusedError) as error:  # there, but nobody listens yet
                if time.monotonic() > end:
                    raise Hang("QEMU opened no monitor") from error
                time.sleep(0.05)
        self.monitor.settimeout(60 * PATIENCE)
        try:
            self.answer()
        except OSError as error:
            self.pump(1)
            raise Hang(f"QEMU ended at its start: {self.output}") from error
        return self

    def __exit__(self, *rest):
        super().__exit__(*rest)
        self.monitor.close()
        self.folder.cleanup()

    def answer(self) -> str:
        data = b""
        while not data.endswith(b"(qemu) "):
            data += self.monitor.recv(4096)
        return data.decode(errors="replace")

    def ask(self, line: str) -> str:
        self.monitor.sendall(line.encode() + b"\n")
        return self.answer()

    def type(self, text: str) -> None:
        """Types on the PS/2 keyboard, slowly enough for its 16-byte queue."""
        for key in text:
            self.press(KEYS.get(key, "shift-" + key.lower() if key.isupper() else key))

    def press(self, *names: str) -> None:
        """Presses keys by QEMU's names: "up", "ctrl-c"."""
        for name in names:
            self.ask("sendkey " + name)
            time.sleep(0.15)

    def switch_off(self) -> None:
        """Types `poweroff`. QEMU may be gone before its monitor has answered the last key."""
        self.type("poweroff")
        self.monitor.sendall(b"sendkey ret\n")

    def picture(self) -> bytes:
        path = pathlib.Path(self.folder.name) / "screen.ppm"
        self.ask(f"screendump {path}")
        return path.read_bytes()

    def screen(self) -> list[str]:
        return read_text(self.picture(), self.font)

    def text_mode(self) -> list[str]:
        """Returns the lines of VGA text."""
        rows = re.findall(r"^[0-9a-f]{16}: (.*)$", self.ask("xp /2000hx 0xb8000").replace("\r", ""), re.M)
        words = [word[2:] for row in rows for word in row.split()]
        text = "".join(chr(int(word[2:], 16)) for word in words)
        return [text[i:i + 80].rstrip("\0 ") for i in range(0, len(text), 80)]

    def see(self, pattern: str, timeout: float, look=None) -> list[str]:
        """Waits until the screen's text (or the text of look()) matches; returns its lines."""
        end = time.monotonic() + timeout * PATIENCE
        while True:
            self.pump(0.3)
            lines = (look or self.screen)()
            if re.search(pattern, "\n".join(lines), re.M):
                return lines
            if time.monotonic() > end:
                raise Hang(f"no {pattern!r} on the screen within {timeout} s:\n" + "\n".join(lines))
