#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures Marrow and a minimal Linux with llama.cpp in the same QEMU, in turns.

compare_engine.py [--rounds 5] [--cpus 1,2] [--tokens 48] [--settings 11,...] [--peer-lib FOLDER]
                  [--busy] [--keep] [--report-only] [--wiki FILE]

The peer is Debian's kernel (scripts/linux_guest.py gets it) with scripts/linux_llama.cpp as its
only process: llama.cpp from PyPI's llama-cpp-python, built once for SSE4.2, what the CPU model has;
--peer-lib names a folder with such libraries instead. Its model lies raw on a virtio disk, ours
comes packed as the multiboot module. --settings gives llama.cpp's flash attention and repacking, a
digit each; it counts with its best. --busy keeps one of the host's cores busy meanwhile. Samples
are kept in build/bench/machine.jsonl; --keep adds to those of earlier runs.
"""
import argparse
import json
import multiprocessing
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tarfile

import linux_guest
from linux_guest import CACHE
from qemu_test import KERNEL, Guest, Hang

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEER = "llama-cpp-python==0.3.36"
MODEL = ROOT / "build/models/SmolLM2-135M-Instruct.Q4_1.gguf"
PACKED = ROOT / "build/bench/SmolLM2-135M-Instruct.Q4_1.packed.gguf"
SAMPLES = ROOT / "build/bench/machine.jsonl"
QUESTION = "What is the capital of France?"
MEMORY_MIB = 1024
ROWS = (("power-on to prompt, s", "prompt_s", True), ("power-on to first token of a short chat, s", "first_s", True),
        ("decode at depth 16, tokens/s", "decode", False), ("prefill 16, tokens/s", "prefill", False),
        ("p99 − p50 of the gaps, ms", "jitter_ms", True), ("guest memory in use, MiB", "used_mib", True))


def run(command, **more):
    done = subprocess.run(list(map(str, command)), check=False, stdout=subprocess.PIPE, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"compare_engine: {' '.join(map(str, command))} failed\n{done.stdout[-2000:]}")
    return done.stdout


def llama_source():
    """Fetches the source from PyPI. Its headers are needed even if --peer-lib gives the libraries."""
    if not list(CACHE.glob("llama_cpp_python-*/vendor/llama.cpp")):
        CACHE.mkdir(parents=True, exist_ok=True)
        run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", PEER.split("=")[0], "-d", CACHE, PEER])
        with tarfile.open(next(CACHE.glob("llama_cpp_python-*.tar.gz"))) as archive:
            archive.extractall(CACHE)
    return next(CACHE.glob("llama_cpp_python-*/vendor/llama.cpp"))


def llama_libraries(source):
    """Shared libraries for SSE4.2. Some minutes, once."""
    build = CACHE / "llama_sse42"
    options = {"CMAKE_BUILD_TYPE": "Release", "GGML_NATIVE": "OFF", "GGML_SSE42": "ON", "GGML_OPENMP": "OFF"}
    options |= {f"GGML_{name}": "OFF" for name in ("AVX", "AVX2", "BMI2", "FMA", "F16C")}
    options |= {f"LLAMA_BUILD_{name}": "OFF" for name in ("COMMON", "TESTS", "TOOLS", "EXAMPLES", "SERVER", "APP")}
    if not (build / "bin/libllama.so").exists():
        run(["cmake", "-S", source, "-B", build, *(f"-D{key}={value}" for key, value in options.items())])
        run(["cmake", "--build", build, "-j", os.cpu_count(), "--target", "llama"])
    return build / "bin"


def needed_libraries(program, folder):
    """(name in the guest, file) of the dynamic linker and all libraries of a program."""
    text = run(["ldd", program], env=os.environ | {"LD_LIBRARY_PATH": str(folder)})
    for line in text.splitlines():
        found = re.search(r"(?:(\S+) => )?(/\S+) \(0x", line)
        if found:
            name = found[2] if found[1] is None else f"/lib/{found[1]}"
            yield name.lstrip("/"), pathlib.Path(found[2])


def build_peer(libraries):
    source = llama_source()
    folder = pathlib.Path(libraries) if libraries else llama_libraries(source)
    init = CACHE / "llama_init"
    run(["g++", "-O2", "-std=c++20", "-I", source / "include", "-I", source / "ggml/include", "-o", init,
         ROOT / "scripts/linux_llama.cpp", "-L", folder, "-Wl,-rpath,/lib", f"-Wl,-rpath-link,{folder}",
         "-lllama", "-lggml", "-lggml-base", "-lggml-cpu"])
    more = [(name, 0o40755, b"") for name in ("lib", "lib64")]
    more += [(name, 0o100755, path.read_bytes()) for name, path in needed_libraries(init, folder)]
    return linux_guest.kernel("x86_64"), linux_guest.ramdisk("x86_64", "llama_initramfs", init, ["virtio_pci", "virtio_blk"], more)


def peer(kernel, image, cpus, setting, tokens):
    disk = ["-drive", f"file={MODEL.resolve()},format=raw,if=none,id=d0,readonly=on", "-device", "virtio-blk-pci,drive=d0"]
    append = f"{linux_guest.command_line('x86_64')} flash={setting[0]} repack={setting[1]}"
    with Guest(append, cpus=cpus, memory=f"{MEMORY_MIB}M", kernel=kernel, model=image, extra=disk) as guest:
        guest.expect("^peer: prompt", 90)
        sample = {"prompt_s": guest.seconds()}
        guest.send(f"chat 4 {QUESTION}\n")
        guest.expect(r"^peer: answer: \S", 200)
        sample["first_s"] = guest.seconds()
        sample["answer"] = guest.expect(r"^peer: answer: (.*)\n", 60)[1]
        guest.send(f"bench 16 {tokens}\n")
        found = guest.expect(r"^peer: bench ([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+)\n", 600)
        sample |= figures(map(float, found.groups()))
        guest.send("memory\n")
        found = guest.expect(r"^peer: memory (\d+) (\d+)\n", 20)
        return sample | {"used_mib": MEMORY_MIB - int(found[2]) / 1024}


def check_same(ours, theirs):
    """Lets both answer greedily, and does not wait for the end of either."""
    length = min(len(ours), len(theirs))
    if length < 4 or ours[:length] != theirs[:length]:
        sys.exit(f"compare_engine: different answers: {ours!r} and {theirs!r}")


def figures(values):
    prefill, decode, p50, p99 = values
    return {"prefill": prefill, "decode": decode, "jitter_ms": p99 - p50}


def marrow(cpus, tokens):
    options = "log=error ntp=off context=2048 speculate=no"
    with Guest(options, cpus=cpus, memory=f"{MEMORY_MIB}M", kernel=KERNEL, model=PACKED) as guest:
        guest.expect("^marrow> ", 60)
        sample = {"prompt_s": guest.seconds()}
        begin = len(guest.output)
        guest.send(f"chat {QUESTION}\r")
        # On a screen, the progress line of the prompt is erased again.
        found = guest.expect(rf"{re.escape(QUESTION)}\n(?:\[[^\]]*\])*([^\[\s\x1b])", 200, begin)
        sample["first_s"] = guest.seconds()
        guest.expect(r".{8}", 60, found.start(1))
        guest.send("\x03")
        guest.expect("\nmarrow> ", 20, found.start(1))
        sample["answer"] = guest.output[found.start(1):].splitlines()[0]
        text = guest.command_output(f"bench --csv --cases 16:{tokens}:1", 600)
        row = next(line.split(",") for line in text.splitlines() if re.match(r"^16,\d+,1,", line))
        sample |= figures(map(float, row[3:7]))
        return sample | {"used_mib": used_mib(guest.command_output("mem"))}


def used_mib(text):
    """Returns the guest's RAM without what `mem` reports as free."""
    return MEMORY_MIB - float(re.search(r"^free +([\d.]+)", text, re.M)[1])


def spin():
    while True:
        pass


def measure(args):
    kernel, image = build_peer(args.peer_lib)
    spinner = multiprocessing.Process(target=spin, daemon=True)
    if args.busy:
        spinner.start()
    with SAMPLES.open("a", encoding="utf-8") as out:
        for turn in range(args.rounds):
            setting = args.settings[turn % len(args.settings)]
            for cpus in args.cpus:
                sample = {"cpus": cpus, "busy": args.busy, "setting": setting, "marrow": marrow(cpus, args.tokens),
                          "peer": peer(kernel, image, cpus, setting, args.tokens)}
                check_same(sample["marrow"].pop("answer"), sample["peer"].pop("answer"))
                out.write(json.dumps(sample) + "\n")
                out.flush()
                print(f"  ROUND    {turn + 1}/{args.rounds}, {cpus} vCPU: {sample}", file=sys.stderr, flush=True)
    if args.busy:
        spinner.kill()


def report(args):
    samples = [json.loads(line) for line in SAMPLES.read_text(encoding="utf-8").splitlines()]
    lines = []
    for cpus, busy in sorted({(s["cpus"], s["busy"]) for s in samples}):
        own = [s for s in samples if (s["cpus"], s["busy"]) == (cpus, busy)]
        lines += [f"### {cpus} vCPU{'s' * (cpus > 1)}{', one host core busy' * busy}, {len(own)} rounds", "",
                  "| what | marrow | Linux + llama.cpp | ratio: min – median – max |", "|---|---|---|---|"]
        for title, key, less in ROWS:
            by_setting = {}
            for s in own:
                if key in s["marrow"]:
                    by_setting.setdefault(s["setting"], []).append(s)
            if not by_setting:
                continue
            medians = {name: statistics.median(s["peer"][key] for s in group) for name, group in by_setting.items()}
            best = (min if less else max)(medians, key=medians.get)
            ratios = [s["marrow"][key] / s["peer"][key] for s in by_setting[best] if s["peer"][key] != 0]
            ours = statistics.median(s["marrow"][key] for group in by_setting.values() for s in group)
            spread = f"{min(ratios):.2f} – **{statistics.median(ratios):.2f}** – {max(ratios):.2f}" if ratios else "–"
            lines.append(f"| {title} | {ours:.2f} | {medians[best]:.2f} | {spread} |")
        lines.append("")
    text = "\n".join(lines)
    print(text)
    if args.wiki:
        write_wiki(pathlib.Path(args.wiki), text)


def write_wiki(page, tables):
    begin, end = "<!-- machine: begin -->\n", "<!-- machine: end -->\n"
    head, rest = page.read_text(encoding="utf-8").split(begin)
    page.write_text(head + begin + tables + end + rest.split(end)[1], encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpus", default="1,2")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--settings", default="11,01")
    parser.add_argument("--peer-lib", help="a folder with libllama.so and ggml's libraries for SSE4.2")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--report-only", action="store_true")
    parser.add_argument("--wiki")
    args = parser.parse_args()
    args.cpus = list(map(int, args.cpus.split(",")))
    args.settings = args.settings.split(",")
    SAMPLES.parent.mkdir(parents=True, exist_ok=True)
    if not args.report_only:
        if not args.keep:
            SAMPLES.unlink(missing_ok=True)
        try:
            measure(args)
        except Hang as reason:
            sys.exit(f"compare_engine: {reason}")
    report(args)


if __name__ == "__main__":
    main()
