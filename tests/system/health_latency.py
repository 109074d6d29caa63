#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures /health while a model loads, while a long prompt is read, and while eight answers are generated.

Usage: health_latency.py [--places host,virtio,e1000e] [--model FILE.gguf] [--guest-model FILE.gguf] [--limit-ms 100] [--cpus 2]
Guests read their model from a disk of 8 MB/s. Prints for each place and work the probes and the slowest one; exit
status 1 when one took longer than the limit, or when /health did not report the loading.
"""
import argparse
import contextlib
import http.client
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

from harness import MODEL, PROMPT, TWIN, Guest
from serving import Place, free_port

CARDS = {"virtio": "virtio-net-pci", "e1000e": "e1000e"}
DISK_BYTES_PER_SECOND = 8_000_000


class Probe:
    """Asks /health a hundred times a second, over one connection, until stop()."""

    def __init__(self, port):
        self.port, self.took, self.seen, self.ends = port, [], [], False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        line.connect()
        while not self.ends:
            start = time.monotonic()
            line.request("GET", "/health")
            answer = line.getresponse()
            facts = json.loads(answer.read())
            self.took.append(time.monotonic() - start)
            if (facts["stage"], answer.status) not in [(s["stage"], s["code"]) for s in self.seen] or answer.status == 503:
                self.seen.append({**facts, "code": answer.status})
            time.sleep(0.01)

    def stop(self, what) -> float:
        self.ends = True
        self.thread.join()
        self.took.sort()
        worst = self.took[-1] * 1000
        print(f"{what:32} {len(self.took):5} probes, p50 {self.took[len(self.took) // 2] * 1000:6.1f} ms, "
              f"worst {worst:6.1f} ms", flush=True)
        return worst


@contextlib.contextmanager
def twin_process(model, port):
    process = subprocess.Popen([str(TWIN), f"model={model}", f"http.port={port}", "auth=none", "http.queue=64",
                                "run=serve"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    threading.Thread(target=lambda: [None for _ in process.stdout], daemon=True).start()
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def guest_process(card, model, port, cpus):
    """The model lies on a disk, so that it has to be read."""
    with tempfile.TemporaryDirectory() as folder:
        disk = pathlib.Path(folder) / "disk"
        subprocess.run(["truncate", "-s", str(model.stat().st_size + (32 << 20)), disk], check=True)
        subprocess.run(["mkfs.fat", "-F", "32", disk], check=True, capture_output=True)
        subprocess.run(["mcopy", "-i", disk, model, "::/model.gguf"], check=True)
        more = ("-nic", f"user,id=n0,model={card},hostfwd=tcp:127.0.0.1:{port}-:8080",
                "-drive", f"file={disk},format=raw,if=none,id=d0,throttling.bps-total={DISK_BYTES_PER_SECOND}",
                "-device", "virtio-blk-pci,drive=d0")
        with Guest("log=info ntp=off auth=none", cpus=cpus, memory="1G", net=more) as machine:
            machine.expect(PROMPT, 60)
            machine.expect(r"net: eth0: .* by DHCP", 30)
            machine.send("serve start\r")
            done = threading.Event()
            reader = threading.Thread(target=lambda: [machine.pump(0.2) for _ in iter(done.is_set, True)], daemon=True)
            reader.start()
            try:
                yield
            finally:
                done.set()
                reader.join()


def wait_for_port(port):
    end = time.time() + 60
    while time.time() < end:
        try:
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            line.request("GET", "/health/live")
            line.getresponse().read()
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.01)
    raise SystemExit("nobody listens")


def loading(place, port) -> tuple[float, bool]:
    probe = Probe(port)
    while not probe.seen or probe.seen[-1]["code"] == 503:
        time.sleep(0.01)
    worst = probe.stop(f"{place}: loading")
    told = [s for s in probe.seen if s["code"] == 503]
    for stage in dict.fromkeys(s["stage"] for s in told):
        last = [s for s in told if s["stage"] == stage][-1]
        print(f"  503, stage {stage}, last {last.get('bytes_done')} of {last.get('bytes_total')} bytes, "
              f"{last.get('eta_ms')} ms left", flush=True)
    etas = [s["eta_ms"] for s in told if s["stage"] == "reading" and s["bytes_done"] > 0]
    return worst, place == "host" or (len(etas) > 3 and etas[-1] < etas[0])


def working(place, base, port, streams, prompt, tokens) -> float:
    server = Place(base)
    vocabulary = int(server.get("/healthz").split("vocab=")[1])
    room = server.context() - tokens - 8
    length = min(prompt, room)
    bodies = [{"prompt": [vocabulary // 4 + (i * 7919 + k * 31) % (vocabulary // 2) for k in range(length)],
               "n_predict": tokens, "ignore_eos": True, "cache_prompt": False} for i in range(streams)]
    threads = [threading.Thread(target=server.post, args=("/completion", body), daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    while server.running() == 0 and any(t.is_alive() for t in threads):
        time.sleep(0.005)
    probe = Probe(port)
    for thread in threads:
        thread.join(150)
    return probe.stop(f"{place}: {streams} x ({length} + {tokens}) tokens")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--places", default="host,virtio,e1000e")
    parser.add_argument("--model", default=str(MODEL))
    parser.add_argument("--guest-model", default=str(MODEL))
    parser.add_argument("--cpus", type=int, default=2, help="of a guest")
    parser.add_argument("--limit-ms", type=float, default=100)
    options = parser.parse_args()
    good = True
    for place in options.places.split(","):
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        host = place == "host"
        guest_model = pathlib.Path(options.guest_model)
        running = twin_process(options.model, port) if host else guest_process(CARDS[place], guest_model, port, options.cpus)
        with running:
            wait_for_port(port)
            worst, told = loading(place, port)
            prompt, tokens = (2000, 64) if host else (250, 4)  # an emulated CPU takes a minute for these
            worst = max(worst, working(place, base, port, 1, prompt, 2), working(place, base, port, 8, 16, tokens))
            good &= told and worst <= options.limit_ms
    print("met" if good else "NOT met")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
