#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""LangChain's OpenAI classes over /v1/chat/completions and over /v1/responses.

Usage: langchain_openai_client.py [--base http://127.0.0.1:8080] [--only NAME], or --twin PROGRAM --model FILE.gguf
Needs the PyPI package langchain-openai (1.7.4). Prints TAP; exit status 1 on failure.
"""
import asyncio

import openai
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from langchain_shapes import City, add
from serving import Place, expect_error, suite_exit, test


class Context(Place):
    def __init__(self, base):
        super().__init__(base)
        self.name = self.model()
        self.both = [self.chat(), self.chat(use_responses_api=True)]

    def chat(self, **more):
        given = {"model": self.name, "base_url": self.base + "/v1", "api_key": "none", "temperature": 0, "max_tokens": 12, "max_retries": 0,
                 "timeout": 300}
        given.update(more)
        return ChatOpenAI(**given)


@test
def text(c):
    for model in c.both:
        answer = model.invoke([SystemMessage("Be brief."), HumanMessage("Say hello.")])
        assert answer.text and answer.usage_metadata["output_tokens"] > 0, answer


@test
def stream(c):
    for model in c.both:
        whole = model.invoke("Say hello.").text
        assert "".join(chunk.text for chunk in model.stream("Say hello.")) == whole


@test
def chain(c):
    prompt = ChatPromptTemplate.from_messages([("system", "Answer in {language}."), ("human", "{question}")])
    for model in c.both:
        assert (prompt | model).invoke({"language": "English", "question": "Why?"}).text


@test
def tools(c):
    for more in ({}, {"use_responses_api": True}):
        model = c.chat(max_tokens=120, **more).bind_tools([add], tool_choice="any")
        answer = model.invoke("What is 2 + 3?")
        assert answer.tool_calls[0]["name"] == "add" and set(answer.tool_calls[0]["args"]) == {"a", "b"}, answer
        whole = None
        for chunk in model.stream("What is 2 + 3?"):
            whole = chunk if whole is None else whole + chunk
        assert whole.tool_calls[0]["args"] == answer.tool_calls[0]["args"], (whole.tool_calls, answer.tool_calls)


@test
def result_of_a_tool(c):
    call = {"name": "add", "args": {"a": 2, "b": 3}, "id": "call_1", "type": "tool_call"}
    for model in c.both:
        answer = model.bind_tools([add]).invoke([HumanMessage("What is 2 + 3?"), AIMessage("", tool_calls=[call]), ToolMessage("5", tool_call_id="call_1")])
        assert answer.text or answer.tool_calls


@test
def structured_output(c):
    for more in ({}, {"use_responses_api": True}):
        for method in ("json_schema", "function_calling"):
            made = c.chat(max_tokens=60, **more).with_structured_output(City, method=method).invoke("Describe Oslo.")
            assert isinstance(made, City), (more, method, made)


@test
def parallel_batch(c):
    for model in c.both:
        assert all(answer.text for answer in model.batch([f"Count from {i}." for i in range(4)]))


@test
def asynchronous(c):
    async def both(model):
        return [part.text async for part in model.astream("Say hello.")]
    for model in c.both:
        assert "".join(asyncio.run(both(model)))


@test
def log_probabilities(c):
    answer = c.chat(logprobs=True, top_logprobs=2).invoke("Say hello.")
    assert len(answer.response_metadata["logprobs"]["content"][0]["top_logprobs"]) == 2


@test
def embeddings(c):
    made = OpenAIEmbeddings(model=c.name, base_url=c.base + "/v1", api_key="none", check_embedding_ctx_length=False).embed_documents(["a", "b"])
    assert len(made) == 2 and len(made[0]) > 8


@test
def errors(c):
    for more in ({}, {"use_responses_api": True}):
        error = expect_error(openai.NotFoundError, lambda more=more: c.chat(model="no-such-model", **more).invoke("x"))
        assert error.code == "model_not_found"


if __name__ == "__main__":
    suite_exit("langchain-openai", Context)
