#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots the image in Bochs, for a second opinion where QEMU may share our mistakes (`make test-bochs`).

bochs.py [all] [SUBSTRING]

A row is a CPU model and a number of CPUs; SUBSTRING chooses rows, as in `tigerlake` or `4 cpus`. Without `all`: the short
table, one row for each kind of interrupt controller and vector table. Each row boots the image by Bochs' own BIOS. On
its serial line it must reach the prompt, pass `selftest`, and give the text and the hash of logits that QEMU gives. Bochs'
log must have no line of an error or a panic but that of the power switch. Bochs interprets every instruction, so a row
takes minutes.
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from harness import CPU_FAST, MODEL, ROOT, Guest, check, need, small_iso

# Each CPU model of Bochs has the kernel table that must be chosen. The models are, by age: without AVX and x2APIC, with
# x2APIC, with AVX2, AMD's, with AVX-512 but not all of it that a table wants, with all of it.
MODELS = {"core2_penryn_t9600": "sse41", "corei7_sandy_bridge_2600k": "sse41", "corei7_haswell_4770": "avx2",
          "ryzen": "avx2", "corei7_skylake_x": "avx2", "tigerlake": "avx512-vnni"}
ALL = [(model, cpus) for model in MODELS for cpus in (1, 2, 4)]
SHORT = [("corei7_sandy_bridge_2600k", 2), ("tigerlake", 1)]
SECONDS = 3600
QUESTION = 'llm "Once upon a time" 4'
# The Bochs of Debian stops in its debugger at the first instruction.
GO = "c\n"
# Options of Bochs 2.7. Its own VGA BIOS has palette modes only; SeaBIOS' drives the same card. It ends at once on a
# computer without a sound card unless its sound goes nowhere.
CONFIGURATION = """
plugin_ctrl: unmapped=true, biosdev=true, extfpuirq=true, serial=true
config_interface: textconfig
display_library: rfb, options="timeout=0"
memory: guest=512, host=512
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/seabios/vgabios-stdvga.bin
cpu: model={model}, count={cpus}, ips=50000000, quantum=16, reset_on_triple_fault=0
pci: enabled=1, chipset=i440fx
vga: extension=vbe, update_freq=1
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
clock: sync=none, time0=utc
com1: enabled=1, mode=file, dev={folder}/serial
log: {folder}/log
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
"""


class Said:
    """Holds what a machine has said, as far as it must be the same everywhere."""

    def __init__(self, text: str):
        self.text = text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")
        self.prompt = re.search(r"^Marrow \S+ - type help$", text, re.M)
        self.verdict = re.search(r"^selftest: (\d+) passed, (\d+) failed", text, re.M)
        self.hash = re.search(r"tokens twice, logits ([0-9a-f]{16})", text)
        answer = re.search(r"--- output ---\n(.*)\n--- end ---", text, re.S)
        # The meter of reading the prompt is drawn and removed between the question and the answer.
        self.answer = answer and re.sub(r"\n*\[reading the prompt: [^\]]*\]\n*", "", answer[1])

    def judge(self) -> None:
        check(self.prompt, f"no prompt:\n{self.text[-2000:]}")
        check(self.verdict and int(self.verdict[1]) > 0 and self.verdict[2] == "0", f"selftest:\n{self.text[-4000:]}")
        check(self.hash and self.answer, f"no logits or no answer:\n{self.text[-2000:]}")


def in_qemu(iso: pathlib.Path) -> Said:
    with Guest(cpus=2, memory="512M", cpu=CPU_FAST, iso=iso) as guest:
        guest.expect(r"llm: done", 300)
        said = Said(guest.output)
    said.judge()
    return said


def in_bochs(iso: pathlib.Path, model: str, cpus: int) -> tuple[Said, str]:
    """Returns what the machine said, and Bochs' own log."""
    with tempfile.TemporaryDirectory() as folder:
        config, go = pathlib.Path(folder, "config"), pathlib.Path(folder, "go")
        config.write_text(CONFIGURATION.format(model=model, cpus=cpus, iso=iso, folder=folder))
        go.write_text(GO)
        ended = subprocess.run(["bochs", "-q", "-f", config, "-rc", go], stdin=subprocess.DEVNULL, check=False,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=SECONDS)
        read = [pathlib.Path(folder, name) for name in ("serial", "log")]
        serial, log = [path.read_text(errors="replace") if path.exists() else "" for path in read]
    check(serial, f"Bochs ended before the machine wrote a byte:\n{ended.stdout[-1000:]}")
    return Said(serial), log


def complaints(log: str) -> list[str]:
    """Returns the lines of errors and panics but that of the power switch, which is a panic to Bochs."""
    lines = re.findall(r"^\d+[ep]\[.*$", log, re.M)
    return [line for line in lines if "ACPI control: soft power off" not in line]


def boot(iso: pathlib.Path, wanted: Said, model: str, cpus: int) -> None:
    said, log = in_bochs(iso, model, cpus)
    wrong = complaints(log)
    check(not wrong, "Bochs complains:\n" + "\n".join(wrong[:20]))
    said.judge()
    check(f"  {cpus} cpus, {cpus} compute" in said.text, f"not all of {cpus} CPUs work:\n{said.text[:2000]}")
    table = re.search(r"^  kernels +(\S+), \d+ threads$", said.text, re.M)
    check(table and table[1] == MODELS[model], f"kernels {table and table[1]}, not {MODELS[model]}")
    check(said.hash[1] == wanted.hash[1], f"logits {said.hash[1]}, QEMU's are {wanted.hash[1]}")
    check(said.answer == wanted.answer, f"answer {said.answer!r}, QEMU's is {wanted.answer!r}")


def main() -> None:
    words = sys.argv[1:]
    table = ALL if "all" in words else SHORT
    part = " ".join(word for word in words if word != "all")
    rows = [row for row in table if part in f"{row[0]} {row[1]} cpus"]
    need(MODEL, "make model")
    iso = small_iso("bochs", f"run=selftest; model info; {QUESTION}; poweroff\n", MODEL)
    wanted = in_qemu(iso)
    print(f"# QEMU: logits {wanted.hash[1]}, {wanted.answer!r}", flush=True)
    failed = 0
    for number, (model, cpus) in enumerate(rows, 1):
        start = time.monotonic()
        try:
            boot(iso, wanted, model, cpus)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"not ok {number} - {model}, {cpus} cpus\n#   " + str(error).replace("\n", "\n#   "), flush=True)
        else:
            print(f"ok {number} - {model}, {cpus} cpus: {time.monotonic() - start:.0f} s", flush=True)
    print(f"{len(rows) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not rows else 0)


if __name__ == "__main__":
    main()
