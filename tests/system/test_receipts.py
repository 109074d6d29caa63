#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Receipts on the twin: every API gives them, another twin with other kernels verifies them, changed ones fail."""
import contextlib
import http.client
import json
import os
import pathlib
import random
import subprocess
import tempfile

import serving
from harness import MODEL, TWIN, case, check, main, need, timed

OPTIONS = "auth=none admin=open log=error"
PROMPT = "Once upon a time there was a small robot who"
GBNF = "root ::= [A-Z] [a-z ]* \".\""
SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
          "required": ["name", "age"]}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {
    "type": "object", "properties": {"word": {"type": "string", "maxLength": 10}}, "required": ["word"]}}}
USER = [{"role": "user", "content": "Tell me about the sea."}]


def post(base: str, path: str, body) -> tuple[int, dict]:
    host, port = base.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=300)
    text = body if isinstance(body, str) else json.dumps(body)
    connection.request("POST", path, text.encode(), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read().decode()
    connection.close()
    if not body_is_stream(body):
        return answer.status, json.loads(data)
    found = None
    for line in data.splitlines():
        line = line.removeprefix("data: ")
        if "\"receipt\"" in line:
            found = json.loads(line)
    check(found is not None, f"no receipt in the stream of {path}:\n{data[-600:]}")
    return answer.status, found if "receipt" in found else found["response"]


def body_is_stream(body) -> bool:
    return isinstance(body, dict) and body.get("stream") is True


@contextlib.contextmanager
def twin_process(folder: str, *options: str, model=MODEL):
    need(model, "make model")
    key = pathlib.Path(folder) / "receipts.key"
    words = f"{OPTIONS} context=512 receipts.key=/host{key} {' '.join(options)}"
    with serving.twin(str(TWIN), str(model), words) as (base, process):
        yield base, process


@contextlib.contextmanager
def twin(folder: str, *options: str, model=MODEL):
    with twin_process(folder, *options, model=model) as (base, _):
        yield base


def tool(*words: str) -> tuple[int, str]:
    done = subprocess.run([TWIN, "receipt", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


def answers(base: str) -> list[dict]:
    """One receipt of each kind of request."""
    chat = "/v1/chat/completions"
    rows = [
        ("/completion", {"prompt": PROMPT, "n_predict": 24, "temperature": 0}),
        ("/completion", {"prompt": PROMPT, "n_predict": 24, "seed": 5, "stream": True}),
        ("/completion", {"prompt": PROMPT, "n_predict": 24, "seed": 2**62 - 1, "mirostat": 2, "dry_multiplier": 0.8}),
        ("/completion", {"prompt": PROMPT, "n_predict": 24, "grammar": GBNF, "seed": 6, "logit_bias": [[42, -3.5]]}),
        ("/completion", {"prompt": PROMPT, "n_predict": 24, "seed": 11, "samplers": ["temperature", "min_p", "top_k"], "min_p": 0.1}),
        ("/completion", {"prompt": PROMPT + " said: a, b, a, b, a", "n_predict": 24, "seed": 12, "dry_multiplier": 2,
                         "dry_sequence_breakers": [",", " said"], "dry_penalty_last_n": 40}),
        ("/completion", {"prompt": PROMPT, "n_predict": 24, "seed": 13, "logit_bias": {" was": False, "the": 1.5}, "ignore_eos": True}),
        ("/completion", {"prompt": "1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2 3 4", "n_predict": 24, "temperature": 0}),
        ("/v1/completions", {"prompt": PROMPT, "max_tokens": 24, "stop": [" the", "\n"], "seed": 7}),
        (chat, {"messages": USER, "max_tokens": 24, "seed": 8}),
        (chat, {"messages": USER, "max_tokens": 24, "seed": 8, "stream": True}),
        (chat, {"messages": USER, "max_tokens": 40, "seed": 9,
                "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}),
        (chat, {"messages": USER, "max_tokens": 40, "tools": [TOOL], "tool_choice": "required", "seed": 10}),
        ("/v1/messages", {"messages": USER, "max_tokens": 24, "temperature": 0.5}),
        ("/v1/messages", {"messages": USER, "max_tokens": 24, "stream": True}),
        ("/v1/responses", {"input": "Tell me about the sea.", "max_output_tokens": 24}),
        ("/v1/responses", {"input": "Tell me about the sea.", "max_output_tokens": 24, "stream": True}),
        ("/api/chat", {"messages": USER, "options": {"num_predict": 24}, "stream": False}),
        ("/api/generate", {"prompt": "Tell me about the sea.", "options": {"num_predict": 24}, "stream": True}),
    ]
    found = []
    for path, body in rows:
        status, answer = post(base, path, {**body, "receipt": True})
        check(status == 200 and "receipt" in answer, f"{path} {body}: {status} {json.dumps(answer)[:400]}")
        found.append(answer["receipt"])
    status, answer = post(base, chat, {"messages": USER, "max_tokens": 16, "n": 3, "seed": 20, "receipt": True})
    check(status == 200 and len(answer["receipts"]) == 3, json.dumps(answer)[:400])
    return found + answer["receipts"]


@case
def every_kind_verifies_on_other_kernels():
    """receipts of all APIs and kinds are valid on a twin with other kernels, chunks and no speculation, and on the tool"""
    with tempfile.TemporaryDirectory() as folder:
        with twin(folder, "kernels=auto") as base:
            receipts = answers(base)
            place = serving.Place(base)
            key = json.loads(place.get("/v1/receipts/key"))["key"]
        check(all(r["key"] == key for r in receipts), "a receipt has another key than GET /v1/receipts/key")
        with twin(folder, "kernels=avx2", "chunk=16", "speculate=no", "requests=2") as base:
            for number, receipt in enumerate(receipts):
                status, verdict = post(base, "/v1/receipts/verify", receipt)
                check(status == 200 and verdict["valid"], f"receipt {number}: {status} {verdict}")
            path = pathlib.Path(folder) / "answer.json"
            check(json.loads(serving.Place(base).get("/v1/receipts/key"))["key"] == key, "the key changed with a restart")
        path.write_text(json.dumps({"object": "x", "receipt": receipts[0]}), encoding="utf-8")
        status, text = tool("verify", str(path), key, f"model={MODEL}", "context=512", "kernels=reference")
        check(status == 0 and "valid: 24 tokens came out again" in text and key in text, text)
        status, text = tool("verify", str(path), "0" * 64, f"model={MODEL}", "context=512")
        check(status == 1 and "another key" in text, text)
        changed = {**receipts[0], "answer": [receipts[0]["answer"][0] + 1] + receipts[0]["answer"][1:]}
        path.write_text(json.dumps(changed), encoding="utf-8")
        status, text = tool("verify", str(path), f"model={MODEL}", "context=512")
        check(status == 1 and "not one of this" in text or "signature" in text, text)


def signed_by(receipt: dict, seed: bytes) -> dict | None:
    """The receipt signed by another key, made without Marrow; None without PyPI's cryptography."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        return None
    key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
    body = {**receipt, "key": public}
    del body["signature"]
    text = "marrow-receipt-v2\n" + json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return {**body, "signature": key.sign(text.encode()).hex()}


@case
def a_cache_of_another_type_is_named():
    """a receipt of kv=q8q4 is valid where the cache is of that type; elsewhere the answer says which is needed"""
    with tempfile.TemporaryDirectory() as folder:
        with twin(folder, "kv=q8q4") as base:
            status, answer = post(base, "/completion", {"prompt": PROMPT, "n_predict": 16, "temperature": 0, "receipt": True})
            check(status == 200 and answer["receipt"]["cache"] == "q8q4", json.dumps(answer)[:400])
            status, result = post(base, "/v1/receipts/verify", answer["receipt"])
            check(status == 200 and result["valid"], json.dumps(result))
        with twin(folder) as base:
            status, result = post(base, "/v1/receipts/verify", answer["receipt"])
            check(status == 409 and "kv=q8q4" in json.dumps(result), f"{status} {json.dumps(result)}")


@case
def changed_receipts_fail_where_they_were_changed():
    """a change is a wrong signature; signed anew by somebody else it fails at the step that was changed"""
    with tempfile.TemporaryDirectory() as folder, twin(folder) as base:
        _, answer = post(base, "/completion", {"prompt": PROMPT, "n_predict": 32, "seed": 3, "receipt": True})
        receipt = answer["receipt"]
        if signed_by(receipt, b"s" * 32) is not None:
            status, verdict = post(base, "/v1/receipts/verify", signed_by(receipt, b"s" * 32))
            check(status == 200 and verdict["valid"] and verdict["key"] != receipt["key"], f"{status} {verdict}")
        draw = random.Random(4)
        for _ in range(12):
            step = draw.randrange(len(receipt["answer"]))
            other = list(receipt["answer"])
            other[step] = (other[step] + 1 + draw.randrange(1000)) % 49152
            changed = {**receipt, "answer": other}
            status, verdict = post(base, "/v1/receipts/verify", changed)
            check(status == 200 and verdict["stage"] == "signature", f"{status} {verdict}")
            again = signed_by(changed, b"t" * 32)
            if again is None:
                continue
            status, verdict = post(base, "/v1/receipts/verify", again)
            check(status == 200 and not verdict["valid"] and verdict["stage"] == "step" and verdict["step"] == step
                  and verdict["recorded"] == other[step] and verdict["replayed"] == receipt["answer"][step],
                  f"step {step}: {status} {verdict}")
        again = signed_by({**receipt, "model": {**receipt["model"], "sha256": "ab" * 32}}, b"t" * 32)
        if again is not None:
            status, verdict = post(base, "/v1/receipts/verify", again)
            text = verdict["error"]["message"]
            check(status == 409 and "ab" * 32 in text and receipt["model"]["sha256"] in text, f"{status} {verdict}")


@case
def what_others_see_meanwhile():
    """an answer goes on while a receipt is verified, and its bytes are those of an answer alone"""
    with tempfile.TemporaryDirectory() as folder, twin(folder) as base:
        _, answer = post(base, "/completion", {"prompt": PROMPT * 8, "n_predict": 150, "ignore_eos": True, "receipt": True})
        ask = {"prompt": PROMPT, "n_predict": 30, "temperature": 0, "cache_prompt": False}
        alone = post(base, "/completion", ask)[1]["content"]
        host, port = base.removeprefix("http://").split(":")
        waiting = http.client.HTTPConnection(host, int(port), timeout=300)
        waiting.request("POST", "/v1/receipts/verify", json.dumps(answer["receipt"]), {"Content-Type": "application/json"})
        beside = post(base, "/completion", ask)[1]["content"]
        verdict = json.loads(waiting.getresponse().read())
        check(verdict["valid"], str(verdict))
        check(alone == beside, f"{alone!r}\n{beside!r}")


def cpu_ms(process) -> float:
    """The processor time that the process has taken, which a busy machine changes little."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


@timed
def what_verifying_costs():
    """processor time of verifying a receipt, of one prefill of the same tokens, and of making the answer"""
    with tempfile.TemporaryDirectory() as folder, twin_process(folder, "threads=1", "context=1024") as (base, process):
        for what, more in (("greedy", {"temperature": 0}), ("sampled", {"seed": 3}), ("top_k 0", {"seed": 3, "top_k": 0})):
            ask = {"prompt": PROMPT * 18, "n_predict": 200, "ignore_eos": True, "cache_prompt": False, **more}
            post(base, "/completion", {**ask, "n_predict": 2, "receipt": True})  # hashes the model
            begin = cpu_ms(process)
            _, answer = post(base, "/completion", {**ask, "receipt": True})
            made = cpu_ms(process) - begin
            begin = cpu_ms(process)
            post(base, "/completion", ask)
            plain = cpu_ms(process) - begin
            receipt = answer["receipt"]
            tokens = receipt["prompt"] + receipt["answer"][:-1]
            begin = cpu_ms(process)
            for _ in range(3):
                post(base, "/completion", {"prompt": tokens, "n_predict": 1, "cache_prompt": False})
            read = (cpu_ms(process) - begin) / 3
            begin = cpu_ms(process)
            for _ in range(3):
                check(post(base, "/v1/receipts/verify", receipt)[1]["valid"], "not valid")
            verified = (cpu_ms(process) - begin) / 3
            print(f"# {what}: {len(receipt['prompt'])} + {len(receipt['answer'])} tokens; made {made:.0f} ms "
                  f"({plain:.0f} without a receipt), prefill {read:.0f} ms, verified {verified:.0f} ms: "
                  f"{verified / read:.2f} of the prefill", flush=True)


if __name__ == "__main__":
    main()
