#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Several models loaded at once, and clients that mix them: the right model each time, its bytes, and memory that stays.

Each model first answers a list of requests alone, in a server of its own. Then one server loads all of them, and clients send
the same requests for some time, in an order drawn from a seed. Every answer must be the bytes that its model gave alone. Some
clients leave in the middle of a stream.
Usage: mixed_models.py [--twin build/host-san/marrow] [--seconds 120] [--clients 8] [--seed 1] MODEL.gguf MODEL.gguf ENCODER.gguf
A model without logits (an encoder) is asked for vectors, others for texts. Prints figures; exit status 1 on a difference.
"""
import argparse
import contextlib
import http.client
import json
import pathlib
import random
import re
import sys
import threading
import time

import serving
from harness import TWIN

TEXTS = ["Once upon a time there was", "The sea is", "1 2 3 4 5 6", "A small robot who liked", "Why does the moon"]
OPTIONS = "http.bind=127.0.0.1 admin=open log=error models.max=8 models.mb=1024 http.queue=64"


def requests_for(encodes: bool) -> list:
    """What each model is asked: (path, body without the model's name)."""
    if encodes:
        return [("/v1/embeddings", {"input": text}) for text in TEXTS] + [("/api/embed", {"input": TEXTS})]
    greedy = [("/completion", {"prompt": text, "n_predict": 12, "temperature": 0}) for text in TEXTS]
    drawn = [("/completion", {"prompt": text, "n_predict": 12, "seed": seed}) for seed, text in enumerate(TEXTS)]
    vectors = [("/v1/embeddings", {"input": TEXTS[0]})]
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}}, "required": ["n"]}
    bound = [("/completion", {"prompt": TEXTS[0], "n_predict": 24, "seed": 3, "json_schema": schema})]
    return greedy + drawn + vectors + bound


def essence(path: str, answer: dict):
    """What of an answer must not differ."""
    if path == "/completion":
        return answer["content"], answer["tokens_predicted"], answer["stop_type"]
    return answer["embeddings"] if path == "/api/embed" else [row["embedding"] for row in answer["data"]]


class Client:
    """One connection at a time, as a program has it."""

    def __init__(self, base: str):
        self.host, port = base.removeprefix("http://").split(":")
        self.port = int(port)
        self.connection = None

    def ask(self, path: str, body: dict) -> dict:
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, self.port, timeout=600)
        self.connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise AssertionError(f"{path} {body['model']}: {answer.status} {text[:300]}")
        return json.loads(text)

    def leave(self, path: str, body: dict) -> None:
        """Reads the beginning of a stream and closes the connection."""
        with contextlib.closing(http.client.HTTPConnection(self.host, self.port, timeout=600)) as own:
            own.request("POST", path, json.dumps({**body, "stream": True, "n_predict": 400}), {"Content-Type": "application/json"})
            own.getresponse().read(64)


def figures(base: str, process) -> dict:
    """Memory when nothing is at work: the server's own figures, and what the process has resident."""
    place = serving.Place(base)
    place.wait_idle(300)
    text = place.get("/metrics")
    rows = {name: int(value) for name, value in re.findall(r"^marrow_(heap_bytes|memory_used_bytes|kv_pages_used) (\d+)", text, re.M)}
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return {**rows, "resident_kib": int(re.search(r"VmRSS:\s+(\d+)", status)[1])}


class Mix:
    def __init__(self, base: str, wanted: list, seconds: float, seed: int):
        self.base, self.wanted, self.seed = base, wanted, seed
        self.end = time.monotonic() + seconds
        self.asked = self.left = 0
        self.faults = []
        self.lock = threading.Lock()

    def run(self, number: int) -> None:
        draw = random.Random(self.seed * 1000 + number)
        client = Client(self.base)
        while time.monotonic() < self.end and not self.faults:
            name, path, body, right = draw.choice(self.wanted)
            try:
                if path == "/completion" and draw.random() < 0.05:
                    client.leave(path, {**body, "model": name})
                    with self.lock:
                        self.left += 1
                    continue
                answer = client.ask(path, {**body, "model": name})
                told = answer["model"].removesuffix(":latest")
                with self.lock:
                    self.asked += 1
                    if told != name:
                        self.faults.append(f"asked {name}, answered by {told}")
                    if essence(path, answer) != right:
                        self.faults.append(f"{name} {path} {body}: {str(essence(path, answer))[:200]} is not {str(right)[:200]}")
            except (OSError, AssertionError, http.client.HTTPException) as error:
                with self.lock:
                    self.faults.append(f"{name} {path}: {error}")


def alone(program: str, model: str) -> list:
    """What a model answers in a server of its own: rows of (name, path, body, essence)."""
    with serving.twin(program, model, OPTIONS) as (base, _):
        row = json.loads(serving.Place(base).get("/v1/models"))["data"][0]
        client = Client(base)
        asked = requests_for(row["type"] in ("embedding", "rerank"))
        return [(row["id"], path, body, essence(path, client.ask(path, {**body, "model": row["id"]}))) for path, body in asked]


def drive(base: str, wanted: list, clients: int, seconds: float, seed: int) -> Mix:
    mix = Mix(base, wanted, seconds, seed)
    threads = [threading.Thread(target=mix.run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return mix


def mixed(program: str, models: list, clients: int, seconds: float, seed: int) -> list:
    wanted = [row for model in models for row in alone(program, model)]
    with serving.twin(program, models[0], OPTIONS) as (base, process):
        for model in models[1:]:
            serving.Place(base).post("/v1/models/load", {"model": str(pathlib.Path(model).resolve())})
        # What is made once for a model, or for so many clients, is there after a first round.
        first = drive(base, wanted, clients, min(seconds / 4, 30), seed + 1)
        if first.faults:
            return first.faults
        before = figures(base, process)
        mix = drive(base, wanted, clients, seconds, seed)
        print(f"{len(models)} models, {clients} clients, {seconds:.0f} s: {mix.asked} answers, {mix.left} clients left early", flush=True)
        if process.poll() is not None:
            return [*mix.faults, f"the server ended with {process.returncode}"]
        after = figures(base, process)
    print(f"before {before}\nafter  {after}")
    grown = after["heap_bytes"] > before["heap_bytes"] + 64 * 1024 or after["memory_used_bytes"] > before["memory_used_bytes"]
    return mix.faults + (["memory has grown"] if grown else [])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--twin", default=str(TWIN))
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    faults = mixed(options.twin, options.models, options.clients, options.seconds, options.seed)
    print("\n".join(faults[:20]) or "0 failed")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
