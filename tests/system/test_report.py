#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests the support bundle: it has all its parts, and neither prompts nor keys."""
import http.client
import json
import pathlib
import re
import subprocess
import tempfile

import serving
from harness import MODEL, PROMPT, TWIN, Guest, case, check, main, need

SECRETS = {"prompt": "zanzibar", "key": "quagmire", "admin": "hippogriff", "wrong": "mugwumps"}
PARTS = ("options given", "version", "status", "cpu", "lsblk", "lsnet", "mem", "threads", "keys", "trace boot", "dmesg")
MACHINE_PARTS = (*PARTS, "firmware", "lspci", "drivers", "lsusb", "interrupts")


def judge(report: str, parts) -> None:
    """Checks that every part and the end are there, and nothing of SECRETS."""
    for part in parts:
        check(re.search(rf"^## {part} *$", report, re.M), f"no part {part}:\n{report}")
    check("# end of the report" in report, report[-500:])
    for what, text in SECRETS.items():
        check(text not in report, f"the {what} is in the report:\n{report}")


def ask(port: int, path: str, key: str, body=None):
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Authorization": f"Bearer {key}"} | ({"Content-Type": "application/json"} if body else {})
    line.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
    answer = line.getresponse()
    return answer.status, answer.read().decode()


@case
def over_http():
    """GET /report wants the admin key, and tells no prompt and no key, refused ones included"""
    need(MODEL, "make model")
    options = f"log=info api_key={SECRETS['key']} admin_key={SECRETS['admin']}"
    with serving.twin(TWIN, MODEL, options) as (base, _):
        port = int(base.rsplit(":", 1)[1])
        question = {"prompt": f"the {SECRETS['prompt']} of", "max_tokens": 2}
        status, text = ask(port, "/v1/completions", SECRETS["key"], question)
        check(status == 200, text)
        for key, path, wanted in (("wrong", "/v1/models", 401), ("key", "/report", 403), ("wrong", "/report", 401),
                                  ("key", f"/{SECRETS['prompt']}?prompt={SECRETS['prompt']}", 404)):
            check(ask(port, path, SECRETS[key])[0] == wanted, f"{path} with the {key} key")
        status, report = ask(port, "/report", SECRETS["admin"])
        check(status == 200, report)
        judge(report, PARTS)
        check("http.port=" in report and "api_key=(8 characters)" in report, report)


@case
def on_the_console_and_to_a_disk():
    """report prints all parts, self-test included, and writes them to a disk; a planted prompt and keys are not there"""
    need(MODEL, "make model")
    with tempfile.TemporaryDirectory() as folder:
        disk = pathlib.Path(folder, "disk")
        subprocess.run(["/usr/sbin/mkfs.vfat", "-F", "32", "-C", disk, "65536"], check=True, capture_output=True)
        options = f'log=warn run="llm {SECRETS["prompt"]} 1" api_key={SECRETS["key"]} admin_key={SECRETS["admin"]}'
        extra = ["-drive", f"file={disk},format=raw,if=none,id=d", "-device", "virtio-blk-pci,drive=d"]
        with Guest(options, cpus=2, memory="1G", model=MODEL, extra=extra) as guest:
            guest.expect(PROMPT, 120)
            guest.until("mount", r"/disk/vda +fat32", 30)
            guest.command_output(f"tokenize {SECRETS['prompt']}")
            report = guest.command_output("report", 300)
            judge(report, (*MACHINE_PARTS, "models", "selftest"))
            for fact in (r"^APIC at 0x", r"^0000000000000000 +\d+ KiB usable", r"1af4:1001", "selftest: 10 passed"):
                check(re.search(fact, report, re.M), f"no {fact} in:\n{report}")
            check("bytes written to" in guest.command_output("report --quick /disk/vda/report.txt", 60), guest.output)
            guest.send("poweroff\r")
            guest.wait_exit(60)
        text = subprocess.run(["mtype", "-i", disk, "::/report.txt"], check=True, capture_output=True, text=True).stdout
        judge(text, MACHINE_PARTS)


if __name__ == "__main__":
    main()
