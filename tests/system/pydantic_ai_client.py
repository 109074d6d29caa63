#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""pydantic-ai's agents over /v1/responses and over /v1/chat/completions.

Usage: pydantic_ai_client.py [--base http://127.0.0.1:8080] [--only NAME]
Needs the PyPI package pydantic-ai-slim[openai]. Prints TAP; exit status 1 on failure.
"""
import openai
import pydantic
from pydantic_ai import Agent, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

from serving import Place, suite_exit, test


class City(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=12)
    capital: bool


class Context(Place):
    def __init__(self, base):
        super().__init__(base)
        self.client = openai.AsyncOpenAI(base_url=base + "/v1", api_key="none", timeout=300, max_retries=0)
        name = openai.OpenAI(base_url=base + "/v1", api_key="none").models.list().data[0].id
        provider = OpenAIProvider(openai_client=self.client)
        self.responses = OpenAIResponsesModel(name, provider=provider)
        self.chat = OpenAIChatModel(name, provider=provider)
        self.settings = ModelSettings(temperature=0, max_tokens=80)


@test
def text(c):
    for model in (c.responses, c.chat):
        result = Agent(model, model_settings=ModelSettings(temperature=0, max_tokens=8)).run_sync("Say hello.")
        assert result.output and result.usage().output_tokens > 0


@test
def structured_output_by_a_forced_call(c):
    for model in (c.responses, c.chat):
        agent = Agent(model, output_type=ToolOutput(City, name="city"), model_settings=c.settings)
        assert isinstance(agent.run_sync("Describe Paris.").output, City)


@test
def a_conversation_that_the_server_keeps(c):
    agent = Agent(c.responses, model_settings=ModelSettings(temperature=0, max_tokens=6))
    first = agent.run_sync("Say hello.")
    second = agent.run_sync("Again.", message_history=first.all_messages(),
                            model_settings={"openai_previous_response_id": "auto"})
    spelt = agent.run_sync("Again.", message_history=first.all_messages())
    assert second.output == spelt.output, (second.output, spelt.output)


@test
def a_streamed_answer(c):
    agent = Agent(c.responses, model_settings=ModelSettings(temperature=0, max_tokens=8))
    whole = agent.run_sync("Say hello.").output
    with agent.run_stream_sync("Say hello.") as result:
        parts = list(result.stream_text(delta=True))
    assert "".join(parts) == whole, (parts, whole)


if __name__ == "__main__":
    suite_exit("pydantic-ai", Context)
