# SPDX-License-Identifier: GPL-2.0-or-later
"""What the suites of LangChain's classes ask for: a shape to fill and a tool to call."""
import pydantic
from langchain_core.tools import tool


class City(pydantic.BaseModel):
    """A city."""
    name: str = pydantic.Field(max_length=12)
    capital: bool


@tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b
