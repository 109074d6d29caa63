#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""instructor's structured answers: by tools, by strict tools, by tools of responses and by a schema.

Usage: instructor_client.py [--base http://127.0.0.1:8080] [--only NAME], or --twin PROGRAM --model FILE.gguf
Needs the PyPI package instructor (1.17.0). Prints TAP; exit status 1 on failure.
"""
import enum
from typing import Literal

import instructor
import openai
import pydantic
from instructor.core import InstructorError

from serving import Place, expect_error, suite_exit, test


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class City(pydantic.BaseModel):
    """A city."""
    name: str = pydantic.Field(max_length=12, description="its name")
    people: int = pydantic.Field(ge=0, le=99_999_999)
    colour: Colour
    kind: Literal["port", "inland"]


class Flag(pydantic.BaseModel):
    ok: bool


class Flags(pydantic.BaseModel):
    flags: list[Flag] = pydantic.Field(min_length=1, max_length=2)


class Harbour(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=12)
    kind: Literal["port", "inland"]


class Context(Place):
    def __init__(self, base):
        super().__init__(base)
        self.plain = openai.OpenAI(base_url=base + "/v1", api_key="none", timeout=300, max_retries=0)
        self.name = self.model()

    def create(self, mode, kind, **more):
        given = {"model": self.name, "response_model": kind, "temperature": 0, "max_retries": 0, "max_tokens": 120,
                 "messages": [{"role": "user", "content": "Describe Oslo."}]}
        given.update(more)
        return instructor.from_openai(self.plain, mode=mode).chat.completions.create(**given)


@test
def tools(c):
    assert isinstance(c.create(instructor.Mode.TOOLS, City), City)


@test
def strict_tools(c):
    assert isinstance(c.create(instructor.Mode.TOOLS_STRICT, City), City)


@test
def responses_tools(c):
    """/v1/responses with a required tool, beside which instructor sends the format of a text."""
    client = instructor.from_openai(c.plain, mode=instructor.Mode.RESPONSES_TOOLS)
    made = client.responses.create(model=c.name, input="Describe Oslo.", response_model=City, temperature=0, max_retries=0,
                                   max_output_tokens=120)
    assert isinstance(made, City)


@test
def json_schema(c):
    assert isinstance(c.create(instructor.Mode.JSON_SCHEMA, City), City)


@test
def lists_of_objects(c):
    made = c.create(instructor.Mode.TOOLS, Flags)
    assert 1 <= len(made.flags) <= 2


@test
def partial_objects_while_streaming(c):
    client = instructor.from_openai(c.plain, mode=instructor.Mode.TOOLS)
    parts = list(client.chat.completions.create_partial(model=c.name, response_model=Harbour, temperature=0, max_tokens=120,
                                                        messages=[{"role": "user", "content": "Describe Oslo."}]))
    assert len(parts) > 1 and isinstance(Harbour.model_validate(parts[-1].model_dump()), Harbour)


@test
def the_answer_beside_the_object(c):
    client = instructor.from_openai(c.plain, mode=instructor.Mode.TOOLS)
    made, answer = client.chat.completions.create_with_completion(
        model=c.name, response_model=Flag, temperature=0, max_tokens=40, messages=[{"role": "user", "content": "Is it?"}])
    assert isinstance(made, Flag) and answer.usage.completion_tokens > 0


@test
def a_limit_that_cuts_the_object(c):
    expect_error(InstructorError, lambda: c.create(instructor.Mode.TOOLS, City, max_tokens=3))
    c.wait_idle()


if __name__ == "__main__":
    suite_exit("instructor", Context)
