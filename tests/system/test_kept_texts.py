#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Texts that stay on a disk (kv.disk=): after a restart they are not read again, and the answers have the same bytes."""
import json
import pathlib
import re
import subprocess
import tempfile
import urllib.request

import serving
import tiny_gguf
from disk_images import disk, exfat_disk, fsck_exfat
from harness import MODEL, PATIENCE, PROMPT, TWIN, Guest, case, check, main, need

WORDS = " ".join(f"w{n}" for n in range(20, 80))  # some 240 tokens of the tiny model
TEXT = "The machine keeps what it has read. " * 30


def ask(base: str, prompt: str, tokens: int = 24) -> dict:
    body = json.dumps({"prompt": prompt, "n_predict": tokens, "temperature": 0}).encode()
    request = urllib.request.Request(f"{base}/completion", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300 * PATIENCE) as answer:
        return json.load(answer)


def health(base: str) -> dict:
    with urllib.request.urlopen(f"{base}/health", timeout=60 * PATIENCE) as answer:
        return json.load(answer)


def wait_until_kept(base: str, files: int) -> dict:
    """The copy is made after the answer; so /health is asked until it is there."""
    for _ in range(100):
        kept = health(base)["kv_disk"]
        if kept["files"] >= files:
            return kept
        subprocess.run(["sleep", "0.2"], check=True)
    raise AssertionError(f"the text was not kept: {kept}")


@case
def a_server_that_was_stopped():
    """the twin is killed and started: a conversation goes on from the disk with the same text; a damaged file costs time only"""
    need(MODEL, "make model")
    with tempfile.TemporaryDirectory() as folder:
        options = f"auth=none admin=open log=error kv.disk=256 kv.folder=/host{folder}/kv"
        with serving.twin(str(TWIN), str(MODEL), options) as (base, _):
            first = ask(base, TEXT)
            kept = wait_until_kept(base, 1)
            check(kept["pages_written"] > 5 and kept["limit_bytes"] == 256 << 20, kept)
        longer = TEXT + first["content"] + " And then"
        with serving.twin(str(TWIN), str(MODEL), "auth=none admin=open log=error") as (base, _):
            wanted = ask(base, longer)["content"]
        with serving.twin(str(TWIN), str(MODEL), options) as (base, _):
            again = ask(base, longer)
            check(again["content"] == wanted, f"{again['content']}\n{wanted}")
            check(again["timings"]["cache_n"] > 200, again["timings"])
            check(health(base)["kv_disk"]["pages_read"] > 5, health(base))
        files = list(pathlib.Path(folder, "kv").glob("*.kv"))
        check(len(files) == 1, files)
        with open(files[0], "r+b") as file:
            file.seek(files[0].stat().st_size // 2)
            file.write(b"damage!!")
        with serving.twin(str(TWIN), str(MODEL), options) as (base, _):
            again = ask(base, longer)
            check(again["content"] == wanted, f"{again['content']}\n{wanted}")
            check(health(base)["kv_disk"]["damaged_files"] == 1, health(base))


@case
def a_machine_that_was_switched_off():
    """a machine with an exFAT disk is switched off: the text is not read again; `model forget-texts` removes it; fsck agrees"""
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_gguf.write(pathlib.Path(folder) / "tiny.gguf", 700)
        image = exfat_disk(pathlib.Path(folder) / "disk.img", 64)

        def machine(*commands: str, kept: bool = False) -> list[str]:
            with Guest("context=512 kv.disk=32", memory="512M", model=model, extra=disk(image, "nvme")) as guest:
                guest.expect(PROMPT, 60)
                guest.until("df", r"/disk/nvme0n1 +exfat ", 60)
                texts = [guest.command_output(command, 120) for command in commands]
                if kept:  # the copy is made after the answer
                    guest.until("model info", r"[1-9]\d* written since boot", 60 * PATIENCE)
                guest.send("poweroff\r")
                guest.wait_exit(60)
            fsck_exfat(image)
            return texts

        before = machine(f"llm {WORDS} 8", "ls /disk/nvme0n1/marrow", kept=True)
        check("kv" in before[1], before[1])
        after = machine(f"llm {WORDS} 8", "model info", "model forget-texts", "ls /disk/nvme0n1/marrow/kv")
        check(answer_of(after[0]) == answer_of(before[0]), f"{before[0]}\n{after[0]}")
        read = re.search(r"kv disk +[\d.]+ MiB of 32 MiB, (\d+) pages read", after[1])
        check(read and int(read[1]) > 5, after[1])
        check(".kv" not in after[3], after[3])


def answer_of(text: str) -> str:
    found = re.search(r"--- output ---\n(.*)\n--- end ---", text, re.DOTALL)
    check(found is not None, text)
    # A slow prompt shows its progress, and wipes it out before the answer.
    return re.sub(r"(\s*\[reading the prompt[^\]]*\])|\x1b\[K|\s+", "", found[1])


if __name__ == "__main__":
    main()
