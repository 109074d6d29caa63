#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Pulls with Ollama's official Python client and uses what came: ollama_pull.py BASE. For test_pull.py; needs the package ollama (0.6.3)."""
import sys

import ollama


def main(base: str) -> None:
    client = ollama.Client(host=base, timeout=120)
    lines = list(client.pull("tiny:1b", stream=True))
    said = [line.status for line in lines]
    assert said[0] == "pulling manifest" and said[-1] == "success", said
    assert said[-3:-1] == ["verifying sha256 digest", "writing manifest"], said
    counts = [line for line in lines if line.digest]
    assert counts and counts[-1].completed == counts[-1].total > 1000 and counts[-1].digest.startswith("sha256:"), lines
    assert all(line.status == "pulling " + line.digest[7:19] for line in counts), lines
    assert client.pull("tiny:1b").status == "success"
    assert "tiny-1b:latest" in [model.model for model in client.list().models]
    answer = client.generate("tiny:1b", "w1 w2", options={"num_predict": 3, "temperature": 0})
    assert answer.eval_count == 3, answer
    for name, status in (("nobody", 404), ("a/b/c", 400)):
        try:
            client.pull(name)
        except ollama.ResponseError as error:
            assert error.status_code == status and error.error, (name, error.status_code, error.error)
        else:
            raise AssertionError(f"{name} was pulled")
    try:
        list(client.pull("nobody", stream=True))
    except ollama.ResponseError as error:
        assert "404" in error.error, error.error
    else:
        raise AssertionError("an error within the stream was not seen")
    print("pulled")


if __name__ == "__main__":
    main(sys.argv[1])
