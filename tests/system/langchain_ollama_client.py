#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""LangChain's Ollama classes over /api/chat, /api/generate and /api/embed.

Usage: langchain_ollama_client.py [--base http://127.0.0.1:8080] [--only NAME], or --twin PROGRAM --model FILE.gguf
Needs the PyPI package langchain-ollama (1.1.0). Prints TAP; exit status 1 on failure.
"""
import ollama
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM

from langchain_shapes import City, add
from serving import Place, expect_error, suite_exit, test


class Context(Place):
    def __init__(self, base):
        super().__init__(base)
        self.name = self.model()

    def chat(self, **more):
        return ChatOllama(**{"model": self.name, "base_url": self.base, "temperature": 0, "num_predict": 12, **more})


@test
def text(c):
    answer = c.chat().invoke([SystemMessage("Be brief."), HumanMessage("Say hello.")])
    assert answer.text and answer.usage_metadata["output_tokens"] > 0


@test
def stream(c):
    assert "".join(chunk.text for chunk in c.chat().stream("Say hello.")) == c.chat().invoke("Say hello.").text


@test
def tools(c):
    call = {"name": "add", "args": {"a": 2, "b": 3}, "id": "call_1", "type": "tool_call"}
    history = [HumanMessage("What is 2 + 3?"), AIMessage("", tool_calls=[call]), ToolMessage("5", tool_call_id="call_1", name="add")]
    for messages in (history[:1], history):
        answer = c.chat().bind_tools([add]).invoke(messages)
        assert answer.text or answer.tool_calls


@test
def structured_output(c):
    made = c.chat(num_predict=60).with_structured_output(City, method="json_schema").invoke("Describe Oslo.")
    assert isinstance(made, City)


@test
def checks_the_model_first(c):
    assert c.chat(validate_model_on_init=True).invoke("Say hello.").text
    expect_error(ValueError, lambda: c.chat(model="no-such-model", validate_model_on_init=True))


@test
def completion(c):
    assert OllamaLLM(model=c.name, base_url=c.base, temperature=0, num_predict=6).invoke("Once upon a time")


@test
def embeddings(c):
    made = OllamaEmbeddings(model=c.name, base_url=c.base).embed_documents(["a", "b"])
    assert len(made) == 2 and len(made[0]) > 8


@test
def errors(c):
    error = expect_error(ollama.ResponseError, lambda: c.chat(model="no-such-model").invoke("x"))
    assert error.status_code == 404


if __name__ == "__main__":
    suite_exit("langchain-ollama", Context)
