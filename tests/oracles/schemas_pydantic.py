#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the JSON schemas that pydantic 2 makes of its common types, with values that they take and refuse.

schemas_pydantic.py > tests/goldens/schemas/pydantic.json (needs the packages pydantic and email-validator)
"""
import datetime
import decimal
import enum
import ipaddress
import json
import pathlib
import typing
import uuid

import pydantic
import typing_extensions
from pydantic import BaseModel, ConfigDict, Field


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(BaseModel):
    x: int
    y: float = 0.5


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Node(BaseModel):
    value: int
    children: list["Node"] = []


class Cat(BaseModel):
    kind: typing.Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: typing.Literal["dog"]
    name: str


class Typed(typing_extensions.TypedDict):
    a: int


class Pair(typing.NamedTuple):
    a: int
    b: str


A = typing.Annotated
ROWS = [
    ("int", int, [0, -7], [1.5, "1"]),
    ("float", float, [0.5, 1, -2.25], ["1"]),
    ("bounded int", A[int, Field(ge=0, lt=10)], [0, 9], [10, -1]),
    ("bounded float", A[float, Field(gt=0.5, le=2)], [0.6, 2], [0.5, 2.1]),
    ("multiple of", A[int, Field(multiple_of=3)], [0, 9], [10]),
    ("multiple of float", A[float, Field(multiple_of=0.25)], [0.5, 1.75], [0.3]),
    ("positive", pydantic.PositiveInt, [1], [0]),
    ("decimal", decimal.Decimal, [1.5, "1.50"], [True]),
    ("bounded decimal", A[decimal.Decimal, Field(max_digits=5, decimal_places=2)], ["1.50", "-12.5"], []),
    ("str", str, ["x"], [1]),
    ("bounded str", A[str, Field(min_length=2, max_length=4)], ["ab"], ["a", "abcde"]),
    ("pattern", A[str, Field(pattern=r"^[a-z]{2}\d$", max_length=3)], ["ab1"], ["ab"]),
    ("bytes", bytes, ["x"], [1]),
    ("bool", bool, [True], [1]),
    ("none", type(None), [None], [0]),
    ("optional", typing.Optional[int], [1, None], ["x"]),
    ("union", typing.Union[int, str], [1, "x"], [None]),
    ("literal", typing.Literal["a", 1], ["a", 1], ["b"]),
    ("enum", Colour, ["red"], ["blue"]),
    ("int enum", Level, [1], [3]),
    ("list", A[list[int], Field(min_length=1, max_length=2)], [[1], [1, 2]], [[], [1, 2, 3]]),
    ("set of str", set[str], [[], ["a"], ["a", "b"]], [["a", "a"], [1]]),
    ("set of int", A[set[int], Field(max_length=3)], [[1, 2, 3]], [[1, 1], [1, 2, 3, 4]]),
    ("set of enum", set[Colour], [["red", "green"], ["green"]], [["red", "red"]]),
    ("frozenset", frozenset[float], [[1.5, 2]], [[1.5, 1.5]]),
    ("tuple", tuple[int, str], [[1, "a"]], [[1, "a", 2], ["a", 1]]),
    ("tuple of any length", tuple[int, ...], [[], [1, 2]], [["a"]]),
    ("named tuple", Pair, [[1, "a"]], [["a", 1]]),
    ("dict", dict[str, int], [{}, {"a": 1}], [{"a": "x"}]),
    ("dict of int", dict[int, str], [{"1": "x"}], []),
    ("dict of enum", dict[Colour, int], [{"red": 1}], [{"blue": 1}]),
    ("dict of pattern", dict[A[str, Field(pattern="^k")], int], [{"k1": 1}], [{"x": 1}]),
    ("typed dict", Typed, [{"a": 1}], [{}]),
    ("date", datetime.date, ["2024-02-29"], ["2023-02-29"]),
    ("datetime", datetime.datetime, ["2024-02-29T12:00:00Z"], ["2024-02-30T12:00:00Z"]),
    ("time", datetime.time, ["12:30:00Z"], ["25:00:00Z"]),
    ("timedelta", datetime.timedelta, ["P1D", "PT5M"], ["1 day"]),
    ("uuid", uuid.UUID, ["123e4567-e89b-12d3-a456-426614174000"], ["x"]),
    ("path", pathlib.Path, ["/a/b"], [1]),
    ("ipv4", ipaddress.IPv4Address, ["10.0.0.1"], ["10.0.0.256"]),
    ("ipv6", ipaddress.IPv6Address, ["::1"], ["zz"]),
    ("ipv4 network", ipaddress.IPv4Network, ["10.0.0.0/8"], ["10.0.0.1/8"]),
    ("ipv6 network", ipaddress.IPv6Network, ["2001:db8::/64"], ["x"]),
    ("ipv4 interface", ipaddress.IPv4Interface, ["10.0.0.1/8"], ["10.0.0.1/33"]),
    ("ip any", pydantic.IPvAnyAddress, ["10.0.0.1", "::1"], ["x"]),
    ("ip any interface", pydantic.IPvAnyInterface, ["10.0.0.1/8"], ["x"]),
    ("ip any network", pydantic.IPvAnyNetwork, ["10.0.0.0/8"], ["x"]),
    ("http url", pydantic.HttpUrl, ["https://example.com/x"], ["x"]),
    ("any url", pydantic.AnyUrl, ["https://example.com/x"], ["x"]),
    ("email", pydantic.EmailStr, ["a@example.com"], ["a"]),
    ("secret", pydantic.SecretStr, ["x"], [1]),
    ("base64", pydantic.Base64Str, ["aGk="], []),
    ("json", pydantic.Json, ["1"], []),
    ("model", Point, [{"x": 1, "y": 2.5}, {"x": 1}], [{}, {"x": "a"}]),
    ("strict model", Strict, [{"name": "x"}], [{"name": "x", "y": 1}]),
    ("loose model", Loose, [{"name": "x", "y": 1}], [{"name": 1}]),
    ("recursive", Node, [{"value": 1, "children": [{"value": 2}]}], [{"children": []}]),
    ("discriminated", A[typing.Union[Cat, Dog], Field(discriminator="kind")],
     [{"kind": "cat", "lives": 9}, {"kind": "dog", "name": "x"}], [{"kind": "cat", "name": "x"}]),
    ("list of models", list[Point], [[{"x": 1}]], [[1]]),
    ("any", typing.Any, [1, None], []),
    ("described", A[int, Field(title="T", description="D", examples=[1], json_schema_extra={"x-own": 1})], [1], ["x"]),
]


def main():
    lines = []
    for name, kind, valid, invalid in ROWS:
        schema = pydantic.TypeAdapter(kind).json_schema()
        lines.append(json.dumps({"name": name, "draft": "2020-12", "schema": schema, "valid": valid, "invalid": invalid}))
    print("[\n" + ",\n".join(lines) + "\n]")


main()
