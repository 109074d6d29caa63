#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""SmolLM2 in the booted ARM64 kernel: the golden conversation from every medium, and texts that x86_64 saved."""
import json
import pathlib
import re
import subprocess
import tempfile
import urllib.request

from disk_images import fat_disk
from harness import MODEL, PROMPT, ROOT, TWIN, Guest, case, check, main, need
from qemu_test import MACHINES
from serving import forwarded, twin

ARM = MACHINES["aarch64"]
GOLDEN = json.loads((ROOT / "tests/goldens/smollm2-q4_1.chat.json").read_text())
TEXT = (ROOT / "COPYING").read_text()[:600]  # does not change
PAGE = 32  # positions that the KV cache keeps together (ai/attention/attend.h)
OPTIONS = "auth=none admin=open ntp=off temp=0"


def guest(extra=(), net=(), **options) -> Guest:
    kernel = need(ARM.kernel, "make kernel ARCH=aarch64")
    return Guest(kernel=kernel, cpus=2, memory="1G", append=f"log=info {OPTIONS}", extra=list(extra), net=net, **options)


def post(base: str, path: str, body: dict) -> dict:
    request = urllib.request.Request(base + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=3600) as answer:
        return json.loads(answer.read())


def start_server(machine: Guest, up: str) -> None:
    machine.expect(PROMPT, 60)
    machine.expect(up, 30)
    machine.send("serve start\r")
    ready = machine.expect(r'"event":"ready"', 120)
    machine.expect(PROMPT, 30, ready.end())  # else the prompt would end the next command's output


def converse_with_server(base: str) -> None:
    messages = []
    for number, turn in enumerate(GOLDEN["turns"], 1):
        messages.append({"role": "user", "content": turn["question"]})
        reply = post(base, "/v1/chat/completions", {"messages": messages, "temperature": 0, "max_tokens": GOLDEN["max_tokens"]})
        said = reply["choices"][0]["message"]
        check(said["content"] == turn["answer"], f"the server, turn {number}: {said['content']!r}, wanted {turn['answer']!r}")
        messages.append(said)


def converse_by_talk(machine: Guest) -> None:
    begin = len(machine.output)
    machine.send("talk\r")
    machine.expect(r"^you> $", 90, begin)
    machine.send(f"/max {GOLDEN['max_tokens']}\r")
    machine.expect(r"tokens an answer\n", 20)
    for number, turn in enumerate(GOLDEN["turns"], 1):
        begin = len(machine.output)
        machine.send(turn["question"] + "\r")
        machine.expect(r"^\[[^\n]*tokens, [^\n]*context \d+ of \d+\]$", 900, begin)
        check(turn["answer"].rstrip("\n") in machine.output[begin:], f"talk, turn {number}: {machine.output[begin:]}")
    machine.send("/exit\r")
    machine.expect(PROMPT, 20, begin)


LLM = 'llm "The capital of France is" 8'


def output_of_llm(text: str) -> str:
    found = re.search(r"^--- output ---\n(.+?)\n--- end ---", text, re.M | re.S)
    check(found is not None, f"llm says:\n{text}")
    return re.sub(r"\[reading the prompt: [^]]*\]", "", found[1])  # the progress, which a screen erases


def answers_from(devices) -> None:
    """The three turns by the server and by talk, and a text of llm as the twin writes it, with the model on these devices."""
    need(MODEL, "make model")
    line = [need(TWIN, "make host"), f"model={MODEL}", "temp=0", f"run={LLM.replace(chr(34), chr(39))}; poweroff"]
    told = output_of_llm(subprocess.run(line, capture_output=True, text=True, check=False).stdout)
    with tempfile.TemporaryDirectory() as folder, forwarded("virtio-net-pci") as (net, base, _, up):
        model = {} if devices else {"model": MODEL}
        extra = []
        if devices:
            image = fat_disk(pathlib.Path(folder) / "disk.img", 192, MODEL)
            extra = ["-drive", f"file={image},format=raw,if=none,id=d,readonly=on", *devices]
        with guest(extra, net, **model) as machine:
            machine.expect(PROMPT, 60)
            machine.until("models", "134.5 million parameters", 60)
            start_server(machine, up)
            check(("/disk/" in machine.command_output("models")) == bool(devices), machine.output[-500:])
            converse_with_server(base)
            begin = len(machine.output)
            machine.send(LLM + "\r")
            machine.expect(r"^--- end ---$", 900, begin)
            text = output_of_llm(machine.output[begin:])
            check(text == told, f"llm: {text!r}, the twin {told!r}")
            converse_by_talk(machine)
            print(f"# {machine.seconds():.0f} s")


@case
def from_ram():
    """the model as initial ramdisk: server, llm and talk answer as on x86_64"""
    answers_from([])


@case
def from_virtio():
    """the model on a virtio disk: server, llm and talk answer as on x86_64"""
    answers_from(["-device", "virtio-blk-pci,drive=d"])


@case
def from_nvme():
    """the model on an NVMe disk: server, llm and talk answer as on x86_64"""
    answers_from(["-device", "nvme,serial=1,drive=d"])


@case
def from_a_stick():
    """the model on a USB stick: server, llm and talk answer as on x86_64"""
    answers_from(["-device", "qemu-xhci", "-device", "usb-storage,drive=d"])


def read_text(base: str, length: int) -> dict:
    return post(base, "/completion", {"prompt": TEXT, "n_predict": length, "temperature": 0, "id_slot": 0, "cache_prompt": True})


@case
def saved_texts_cross_over():
    """a text that x86_64 saved goes on here with the same bytes and without being read again, and the other way round"""
    need(MODEL, "make model")
    need(TWIN, "make host")
    with tempfile.TemporaryDirectory() as folder:
        with twin(TWIN, MODEL, f"{OPTIONS} slots.path=/host{folder}") as (base, _):
            wanted = read_text(base, 12)["content"]
            saved = post(base, "/slots/0?action=save", {"filename": "x86"})["n_saved"]
        check(saved >= 64, f"only {saved} positions")
        image = fat_disk(pathlib.Path(folder) / "disk.img", 64, pathlib.Path(folder) / "x86.kv")
        extra = ["-drive", f"file={image},format=raw,if=none,id=d", "-device", "virtio-blk-pci,drive=d"]
        with forwarded("virtio-net-pci") as (net, base, _, up), \
                Guest(kernel=need(ARM.kernel, "make kernel ARCH=aarch64"), cpus=2, memory="1G", model=MODEL, extra=extra, net=net,
                      append=f"log=info {OPTIONS} slots.path=/disk/vda") as machine:
            start_server(machine, up)
            restored = post(base, "/slots/0?action=restore", {"filename": "x86"})["n_restored"]
            reply = read_text(base, 12)
            check(restored >= saved, f"{restored} positions restored of {saved}")
            whole = (reply["tokens_evaluated"] - 1) // PAGE * PAGE  # the last token is always computed
            check(reply["timings"]["cache_n"] >= whole, f"the text was read again: {reply}")
            check(reply["content"] == wanted, f"{reply['content']!r}, x86_64 {wanted!r}")
            post(base, "/slots/0?action=save", {"filename": "arm64"})
            machine.command_output("serve stop", 60)
            machine.send("poweroff\r")
            machine.wait_exit(60)
        subprocess.run(["mcopy", "-i", image, "::/arm64.kv", folder], check=True)
        with twin(TWIN, MODEL, f"{OPTIONS} slots.path=/host{folder}") as (base, _):
            check(post(base, "/slots/0?action=restore", {"filename": "arm64"})["n_restored"] >= saved, "nothing was restored")
            reply = read_text(base, 12)
            check(reply["content"] == wanted, f"{reply['content']!r}, x86_64 {wanted!r}")
        same = (pathlib.Path(folder) / "x86.kv").read_bytes() == (pathlib.Path(folder) / "arm64.kv").read_bytes()
        print(f"# {saved} positions; the two files are {'equal' if same else 'different'}")


if __name__ == "__main__":
    main()
