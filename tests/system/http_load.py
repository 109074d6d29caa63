#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Throughput of the API server beside that of its engine alone at the same batch, and its memory.

Usage: http_load.py [--requests 640] [--together 64] [--prompt 16] [--tokens 16] [--rounds 3] [--batch 8]
                    [--kind completion|stream] [--threads 1] [--model FILE.gguf] [--memory N,N,N]
Each round runs the console's `benchload` in one process, then the same requests over as many kept-alive connections
of a server (build/host/http_load): the same prompts and lengths, greedy, nothing from the prompt cache. The server
and the engine alone have processor 0 (with --threads 2 all of them), the client the last one: its work does not count.
--memory 1000,10000 sends that many more requests each and prints what the server has in use after them.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys

from harness import MODEL, ROOT, TWIN
from serving import Place, twin

CLIENT = ROOT / "build/host/http_load"


def pinned(options) -> list:
    return ["taskset", "-c", "0"] if options.threads == 1 else []


def engine_alone(options) -> float:
    """Requests a second of the console's command."""
    line = f"benchload {options.requests} {options.together} {options.prompt} {options.tokens}"
    done = subprocess.run([*pinned(options), options.twin, f"model={options.model}", "log=warn", f"threads={options.threads}",
                           f"requests={options.batch}", f"run={line}; poweroff"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=900, check=False)
    match = re.search(r"load: .* s, ([0-9.]+) requests/s", done.stdout)
    if not match:
        sys.exit(f"no result of `{line}`:\n{done.stdout[-1000:]}{done.stderr[-500:]}")
    return float(match[1])


class Client:
    def __init__(self, place, options):
        self.place, self.options, self.asked = place, options, 0
        self.vocabulary = re.search(r"vocab=(\d+)", place.get("/healthz"))[1]

    def run(self, kind, requests) -> tuple[float, str]:
        o = self.options
        done = subprocess.run(["taskset", "-c", str(os.cpu_count() - 1), str(CLIENT), self.place.port, kind, str(o.together),
                               str(requests), str(o.prompt), str(o.tokens), self.vocabulary, str(self.asked)],
                              capture_output=True, text=True, timeout=900, check=False)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
        return float(re.search(r"([0-9.]+) requests/s", done.stdout)[1]), done.stdout.strip()


def in_use(place, process) -> str:
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        resident = int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1])
    pages = re.search(r"^marrow_memory_used_bytes (\d+)", place.get("/metrics"), re.M)[1]
    heap = re.search(r"^marrow_heap_bytes (\d+)", place.get("/metrics"), re.M)[1]
    return f"{resident} KiB resident, {pages} bytes of pages, {heap} bytes of heap"


def rounds(place, client, options) -> None:
    alone, served = [], []
    for number in range(options.rounds):
        alone.append(engine_alone(options))
        rate, line = client.run(options.kind, options.requests)
        served.append(rate)
        print(f"# round {number}: engine alone {alone[-1]:.2f} requests/s; {line}", flush=True)
    part = statistics.median(served) / statistics.median(alone)
    print(f"{options.requests} requests ({options.kind}) of {options.prompt} + {options.tokens} tokens, {options.together} "
          f"connections, batch {options.batch}, {options.threads} threads: {part * 100:.1f} % of the engine alone, 0 errors")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--twin", default=str(TWIN))
    parser.add_argument("--model", default=str(MODEL))
    parser.add_argument("--requests", type=int, default=640)
    parser.add_argument("--together", type=int, default=64)
    parser.add_argument("--prompt", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8, help="the option requests= of both")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kind", default="completion", choices=("completion", "stream", "live"))
    parser.add_argument("--memory", default="")
    options = parser.parse_args()
    given = f"auth=none http.queue=256 http.connections=128 log=warn threads={options.threads} requests={options.batch}"
    with twin(options.twin, options.model, given, before=pinned(options)) as (base, process):
        place = Place(base)
        client = Client(place, options)
        if options.memory:
            client.run(options.kind, options.together)  # a first request of each connection takes its buffers
            print(f"at first: {in_use(place, process)}")
            for number in options.memory.split(","):
                _, line = client.run(options.kind, int(number))
                print(f"after {number} more: {in_use(place, process)}; {line}", flush=True)
        else:
            rounds(place, client, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
