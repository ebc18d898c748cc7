"""Compiled coercion of inputs: it has the results of graphql-core and Strawberry."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    Undefined,
    is_list_type,
    is_non_null_type,
)
from graphql.utilities import coerce_input_value
from strawberry.types.arguments import convert_argument

from graph.execution.inputs import Inputs
from graph.limits.documents import Limits
from graph.schema.build import build_schema
from graph.strawberry_internals import core_schema

SCHEMA = build_schema(Limits(depth=30, aliases=1000, tokens=20000, cost=10**30, page=1000))
CORE = core_schema(SCHEMA)
SEED = 20261124
TEXTS = ("a", "", "ü", "RUNNING", "2026-01-31T12:00:00Z", "2026-01-31T13:00:00.5+01:00", "7")
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**31, 2**53, 2**63, 1.0, 1.5, float("nan"), "x", "2026-02-30T00:00:00Z"),
    *([], [None], ["a"], {}, {"a": 1}, {"nobody": 1}),
)


def arguments() -> Iterator[tuple[str, GraphQLInputType, Any]]:
    """Each argument of the schema: its name, its type for graphql-core, and that for Strawberry."""
    for kind in (CORE.query_type, CORE.mutation_type, CORE.subscription_type):
        assert kind is not None
        for name, field in kind.fields.items():
            definition = field.extensions["strawberry-definition"]
            for argument in definition.arguments:
                known = SCHEMA.config.name_converter.from_argument(argument)
                yield f"{kind.name}.{name}({known}:)", field.args[known].type, argument.type


ARGUMENTS = {name: (kind, own) for name, kind, own in arguments()}


class Values:
    """Makes values as a client may send them, most of them valid."""

    def __init__(self, seed: int, oddity: float) -> None:
        self._dice = random.Random(seed)
        self._oddity = oddity

    def make(self, kind: Any) -> Any:
        if self._dice.random() < self._oddity:
            return self._dice.choice(ODD)
        if is_non_null_type(kind):
            return self._make(kind.of_type)
        return None if self._dice.random() < 0.2 else self._make(kind)

    def _make(self, kind: Any) -> Any:
        dice = self._dice
        if is_list_type(kind):
            return [self.make(kind.of_type) for _ in range(dice.randrange(4))]
        if isinstance(kind, GraphQLInputObjectType):
            values = {}
            for name, field in kind.fields.items():
                if is_non_null_type(field.type) or dice.random() < 0.6:
                    values[name] = self.make(field.type)
            return values
        if isinstance(kind, GraphQLEnumType):
            return dice.choice(list(kind.values))
        scalars: dict[str, list[Any]] = {
            "Int": [0, 1, 2**31 - 1, -(2**31)],
            "BigInt": [0, 2**62, "17"],
            "Boolean": [True, False],
            "Float": [0, 1.5, -17, 2.0**60],
            "DateTime": ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123456+02:00"],
            "JSON": [{"a": [1, None, "x", 1.5]}, "text", 3, [], True],
        }
        return dice.choice(scalars.get(kind.name, list(TEXTS)))


def by_the_book(value: Any, kind: GraphQLInputType, own: Any) -> Any:
    """The argument of a resolver; Undefined if the value is refused."""
    coerced = coerce_input_value(value, kind)
    if coerced is Undefined:
        return Undefined
    return convert_argument(coerced, own, SCHEMA.schema_converter.scalar_registry, SCHEMA.config)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_compiled_inputs_coerce_values_as_graphql_core_does(name: str) -> None:
    kind, own = ARGUMENTS[name]
    coerce = Inputs().coerce(kind)
    assert coerce is not None, "all arguments of our schema can be compiled"
    for oddity in (0.0, 0.05, 0.3):
        values, compiled, valid = Values(SEED, oddity), 0, 0
        for _ in range(300):
            value = values.make(kind)
            expected = by_the_book(value, kind, own)
            valid += expected is not Undefined
            try:
                found = coerce(value)
            except Exception:
                continue
            compiled += 1
            assert expected is not Undefined, f"accepted, and should not be: {value!r}"
            assert type(found) is type(expected)
            assert found == expected, value
        if oddity == 0.0:
            assert compiled == valid == 300, "nothing that is valid and usual is left to others"
