#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Models whose experts stay on the disk: the same text as from memory, in the twin and in a machine with less memory than model."""
import json
import pathlib
import re
import subprocess
import tempfile
import urllib.error
import urllib.request

import moe_gguf
import serving
from disk_images import disk, fat_disk
from harness import PATIENCE, PROMPT, TWIN, Guest, Monitor, case, check, main

SHORT = "w17 w23"  # for an emulated CPU
TEXT = "the quick brown fox jumps over the lazy dog and w17 w23 w42"


def model_in(folder: str, shape: str = "small") -> pathlib.Path:
    return moe_gguf.write(pathlib.Path(folder) / "experts.gguf", moe_gguf.SHAPES[shape])


def console(*words: str, commands: str = f"llm {TEXT} 16", status: int = 0) -> str:
    done = subprocess.run([TWIN, "context=512", "ntp=off", *words, f"run=model info; {commands}; model info; perf; poweroff"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300 * PATIENCE, check=False)
    check(done.returncode == status, done.stdout + done.stderr)
    return done.stdout + done.stderr


def answer_of(text: str) -> str:
    found = re.search(r"--- output ---\n(.*)\n--- end ---", text, re.DOTALL)
    check(found is not None, text)
    # A slow prompt shows its progress, and wipes it out before the answer.
    shown = re.sub(r"\s*\[reading the prompt[^\]]*\]\s*(\x1b\[K)?\s*(\x1b\[K)?", "", found[1])
    return shown.removeprefix(TEXT).removeprefix(SHORT)


@case
def same_text_from_the_disk():
    """the twin gives the same text with a tenth of the experts in memory, and `model info` and `perf` say what was read"""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        model = model_in(folder)
        whole = console(f"model={model}")
        check("in memory at once" not in whole, whole)
        streamed = console(f"model={model}", "experts=stream", "experts.mb=8")
    check(answer_of(whole) == answer_of(streamed), f"{answer_of(whole)}\n{answer_of(streamed)}")
    slots, experts = map(int, re.search(r"experts +(\d+) of (\d+) in memory at once", streamed).groups())
    check(experts == 384 and 30 < slots < 40, streamed)
    hits, misses = map(int, re.findall(r"expert hits +(\d+), misses (\d+)", streamed)[-1])
    check(misses > slots and hits > 0, streamed)
    check(re.search(r"expert disk +\d+ MB/s, measured when the model was loaded", streamed), streamed)
    check(re.search(r"expert reads +[\d.]+ MB a token, at \d+ MB/s", streamed), streamed)


@case
def too_small_an_arena_is_explained():
    """experts.mb that holds no expert: an error that names the bytes and what to do"""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        model = moe_gguf.write(pathlib.Path(folder) / "wide.gguf", moe_gguf.Shape(2, 1024, 4, 2, 64, 8, 2, 1024))
        text = console(f"model={model}", "experts=stream", "experts.mb=1", commands="echo", status=1)
    check("do not hold one, which takes" in text and "experts.mb is less than one expert" in text, text)


def ask(base: str, tokens: int = 8) -> dict:
    body = json.dumps({"prompt": TEXT, "n_predict": tokens, "temperature": 0, "cache_prompt": False}).encode()
    request = urllib.request.Request(f"{base}/completion", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300 * PATIENCE) as answer:
        return json.load(answer)


@case
def a_file_that_became_shorter():
    """a model file that is cut under the server: 500 with a sentence, and the server answers again when it is whole"""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        model = model_in(folder)
        options = "auth=none admin=open log=error context=512 experts=stream experts.mb=2"
        with serving.twin(str(TWIN), str(model), options) as (base, _):
            wanted = ask(base)["content"]
            whole = model.read_bytes()
            with open(model, "r+b") as file:
                file.truncate(len(whole) // 8)
            try:
                ask(base)
                check(False, "an answer without its experts")
            except urllib.error.HTTPError as error:
                text = error.read().decode()
                check(error.code == 500 and "could not be read from its disk" in text, f"{error.code} {text}")
            with urllib.request.urlopen(f"{base}/health", timeout=60 * PATIENCE) as health:
                check(health.status == 200, "the server is gone")
            with open(model, "r+b") as file:
                file.write(whole)
            check(ask(base)["content"] == wanted, "another answer after the disk was mended")


@case
def a_machine_with_less_memory_than_model():
    """256 MiB of memory, a model of 340 MB on an NVMe disk: it is streamed by itself and has the twin's text; the disk is pulled out"""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        model = model_in(folder, "large")
        wanted = answer_of(console(f"model={model}", commands=f"llm {SHORT} 3"))
        image = fat_disk(pathlib.Path(folder) / "disk.img", 400, model)
        model.unlink()
        control, slot = f"{folder}/monitor", ["-device", "pcie-root-port,id=slot1,chassis=1,slot=1"]
        slot = ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off", *slot]
        extra = [*slot, *disk(image, "nvme"), "-monitor", f"unix:{control},server,nowait"]
        extra = [f"{word},bus=slot1,id=away" if word.startswith("nvme,") else word for word in extra]
        with Guest("context=512", memory="256M", extra=extra) as guest:
            guest.expect(PROMPT, 60 * PATIENCE)
            guest.until("models", "experts", 60 * PATIENCE)  # the disk is found after the prompt
            guest.command_output("model load experts", timeout=300 * PATIENCE)
            text = guest.command_output("model info", timeout=60 * PATIENCE)
            slots = re.search(r"experts +(\d+) of 512 in memory at once", text)
            check(slots and 50 < int(slots[1]) < 400, text)
            text = guest.command_output(f"llm {SHORT} 3", timeout=600 * PATIENCE)
            check(answer_of(text) == wanted, f"{text}\nwanted: {wanted}")
            text = guest.command_output("perf", timeout=60 * PATIENCE)
            check(re.search(r"expert reads +[\d.]+ MB a token, at \d+ MB/s", text), text)
            Monitor(control).say("device_del away")
            text = guest.command_output("llm w99 w98 w97 w96 8", timeout=600 * PATIENCE)
            check("could not be read from its disk" in text, text)
            text = guest.command_output("mem check", timeout=60 * PATIENCE)
            check("every page is accounted for" in text, text)


if __name__ == "__main__":
    main()
