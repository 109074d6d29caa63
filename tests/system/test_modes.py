#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot options that run a task and power off: their output and their exit status."""
import pathlib
import re
import subprocess
import tempfile

from harness import MODEL, PATIENCE, PROMPT, TWIN, Guest, case, check, in_pairs, main, need

DONE = (0, 1)  # success: by ACPI, or by QEMU's debug port where there is none
FAILED = (3,)  # code 1 through the debug port: 2 * code + 1


def ends(options: str, pattern: str, status: tuple[int, ...]) -> None:
    """Boots without a model; the machine must print this and power off with that status."""
    with Guest(append=options, cpus=2, memory="256M") as guest:
        code = guest.wait_exit(60)
        check(re.search(pattern, guest.output, re.M), f"no {pattern!r}:\n{guest.output[-1500:]}")
        check(code in status, f"exit status {code}, wanted {status}")


@case
def each_mode_ends_with_its_status():
    """ci, run=, selftest and their spellings zosia.*: verdict and power-off code; diag ends at the prompt"""
    in_pairs(ends, [
        ("ci", r"^Marrow [\d.]+ \([\w+]+\)\nsuccess \(code 0\): switching off", DONE),
        ("zosia.ci=1", r"^success \(code 0\): switching off", DONE),
        ('run="echo one; poweroff 5"', r"^one\nfailure \(code 5\): switching off", (11,)),
        ('run="nonsense; poweroff"', r"^failure, 1 of 1 commands failed \(code 1\): switching off", FAILED),
        ('run="status; poweroff"', r"^version +Marrow(.*\n)+success .*: switching off", DONE),
        ("selftest", r"^ok +cpu (.*\n)+selftest: \d+ passed, 0 failed, (.*\n)+success .*: switching off", DONE),
        ("zosia.perf=1", r"^perfline: no model was found(.*\n)+failure, .*: switching off", FAILED),
        ("stability=1m", r"^stability: no model was found(.*\n)+failure, .*: switching off", FAILED),
    ])
    for spelling in ("diag", "zosia.diag"):
        with Guest(append=spelling, cpus=1, memory="256M") as guest:
            guest.expect(r"^run: 5 commands, all succeeded\n(.*\n)*marrow> $", 30)
            for part in (r"^version +Marrow", r"^memory +MiB", r"^no model was found"):
                check(re.search(part, guest.output, re.M), f"no {part!r}:\n{guest.output}")


@case
def speed_at_boot():
    """perf=1 prints one line and powers off: success, and failure below perf.min_tok_s"""
    need(MODEL, "make model")
    line = (r"^marrow: perf tokens=8 seconds=([\d.]+) tok_per_s=([\d.]+) prompt=32 prefill_tok_per_s=[\d.]+ "
            r"load_ms=[\d.]+ p50_ms=[\d.]+ p99_ms=[\d.]+ threads=2 kernels=\S+ (ok|TOO SLOW)$")
    with Guest(append="perf=1 perf.tokens=8 perf.min_tok_s=0.01", memory="1G", model=MODEL) as guest:
        status = guest.wait_exit(60)
        check(re.search(line, guest.output, re.M)[3] == "ok", guest.output[-500:])
        check(status in DONE, f"exit status {status}")
    need(TWIN, "make host")
    slow = subprocess.run([TWIN, f"model={MODEL}", "threads=2", "zosia.perf=1", "zosia.perf.tokens=8",
                           "zosia.perf.min_tok_s=100000"], capture_output=True, text=True, timeout=60 * PATIENCE, check=False)
    check(re.search(line, slow.stdout, re.M)[3] == "TOO SLOW", slow.stdout[-500:])
    check(slow.returncode == 1, f"exit status {slow.returncode}")


def fat_disk(folder: str) -> list[str]:
    image = pathlib.Path(folder) / "disk.img"
    subprocess.run(["truncate", "-s", "64M", image], check=True)
    subprocess.run(["/sbin/mkfs.vfat", "-F", "32", image], check=True, stdout=subprocess.DEVNULL)
    return ["-drive", f"file={image},format=raw,if=none,id=d0", "-device", "virtio-blk-pci,drive=d0"]


@case
def selftest_and_bench_with_model_disk_and_network():
    """selftest: every row, the model's known tokens among them; bench keeps its table on FAT32"""
    need(MODEL, "make model")
    with tempfile.TemporaryDirectory() as folder:
        extra = fat_disk(folder)
        commands = "models; model info; bench --cases 8:3:1; bench --cases 8:3:1"
        with Guest(append=f'run="{commands}" selftest', memory="1G", model=MODEL, extra=extra,
                   net=("-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,romfile=")) as guest:
            status = guest.wait_exit(120)
        text = guest.output
        listing = subprocess.run(["mdir", "-b", "-i", f"{folder}/disk.img", "::/marrow"], capture_output=True,
                                 text=True, check=False).stdout
    for row in ("cpu", "memory", "clock", "lateness", "workers", "kernels", "disks", "network", "model", "tests"):
        check(re.search(rf"^ok +{row} ", text, re.M), f"{row}:\n{text[-3000:]}")
    check("compared with the known ones" in text, text[-2000:])
    check(re.search(r"kept as /disk/vda/marrow/bench-\S+\.json", text), text)
    check(re.search(r"^the run before: rates as parts of it\n.*\n +8 +3 +1 +[\d.]+ % +[\d.]+ %$", text, re.M), text)
    check("bench-" in listing, listing)
    check(status in DONE, f"exit status {status}")


@case
def stability_names_a_planted_fault():
    """stability=...: a run too short to judge fails and says so, a flipped weight bit is named"""
    need(MODEL, "make model")
    need(TWIN, "make host")

    def run(plan: str) -> tuple[int, str]:
        done = subprocess.run([TWIN, f"model={MODEL}", f"stability={plan}"], capture_output=True, text=True,
                              timeout=120 * PATIENCE, check=False)
        return done.returncode, done.stdout

    status, text = run("300")
    check(status == 1 and "stability: TOO SHORT to tell\n" in text, f"{status}\n{text}")
    check("FAULT" not in text, text)
    status, text = run("600 --plant bit")
    check(status == 1 and "stability: FAULT weights: the model's bytes" in text, f"{status}\n{text}")


if __name__ == "__main__":
    main()
