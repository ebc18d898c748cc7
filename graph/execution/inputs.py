"""Owns the code that is made for input: JSON becomes what resolvers take, in one function a type.

It accepts a part of what graphql-core and Strawberry accept, with the same result. Anything else is a
surprise, and then these two say what is wrong with it, or that nothing is.
"""

import dataclasses
import enum
from collections.abc import Callable
from datetime import datetime
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
    type_from_ast,
)
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_literal
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.unset import UNSET

from graph.execution.code_generation import UNEXPECTED, Writer

Coerce = Callable[[Any], Any]
"""Makes of a JSON value what a resolver takes. May raise anything."""

_CONSTANTS = (type(None), str, int, float, bool, enum.Enum, datetime, type(UNSET))


MISSING: Any = object()


@dataclasses.dataclass(frozen=True, slots=True)
class Variable:
    """A variable of an operation."""

    name: str
    coerce: Coerce
    default: Any
    """What it is where it is not given; MISSING where nothing."""
    is_needed: bool


def variables_of(
    schema: GraphQLSchema, operation: OperationDefinitionNode, inputs: "Inputs"
) -> list[Variable] | None:
    """The variables of an operation that is valid; None where one of them is not compiled."""
    found = []
    for definition in operation.variable_definitions or ():
        kind: Any = type_from_ast(schema, definition.type)
        coerce, default = inputs.coerce(kind), MISSING
        if definition.default_value is not None:
            default = coerce_input_literal(definition.default_value, kind)
            # Of an object it would have to become what the resolver takes, anew each time.
            if not is_constant(default) or default is Undefined:
                return None
        if coerce is None:
            return None
        found.append(Variable(definition.variable.name.value, coerce, default, is_non_null_type(kind)))
    return found


def is_constant(value: object) -> bool:
    """Whether two calls may be given the same one."""
    return isinstance(value, _CONSTANTS)


class Inputs:
    """What was made for the input types of a schema."""

    def __init__(self) -> None:
        self._made: dict[str, Coerce | None] = {}

    def coerce(self, kind: GraphQLInputType) -> Coerce | None:
        """The function for values of this type; None where there can be none."""
        name = str(kind)
        if name not in self._made:
            writer = _InputWriter()
            function = writer.function(kind)
            self._made[name] = None if function is None else writer.functions()[function]
        return self._made[name]


class _InputWriter(Writer):
    """Writes the functions for one type and those within it."""

    def __init__(self) -> None:
        super().__init__()
        self._functions: dict[str, str | None] = {}
        self._missing = self.keep("missing", object())

    def function(self, kind: Any) -> str | None:
        """The name of the function for values of this type."""
        key = str(kind)
        if key not in self._functions:
            # A type that holds itself is not compiled.
            self._functions[key] = None
            self._functions[key] = self._write(kind)
        return self._functions[key]

    def _write(self, kind: Any) -> str | None:
        nullable = not is_non_null_type(kind)
        inner = kind if nullable else kind.of_type
        body = self._body(inner)
        if body is None:
            return None
        name = self.name("value")
        none = "return None" if nullable else "raise Surprise"
        self.lines += [f"def {name}(value):", f"    if value is None: {none}"]
        self.lines += [f"    {line}" for line in body]
        return name

    def _body(self, kind: Any) -> list[str] | None:
        if is_list_type(kind):
            function = self.function(kind.of_type)
            if function is None:
                return None
            return [
                "if type(value) is not list: raise Surprise",
                f"return [{function}(item) for item in value]",
            ]
        if isinstance(kind, GraphQLInputObjectType):
            return self._object(kind)
        if isinstance(kind, GraphQLEnumType):
            names = {name: kind.coerce_input_value(name) for name in kind.values}
            return [f"return {self.keep('names', names)}[value]"]
        if kind in UNEXPECTED:
            return [f"if {UNEXPECTED[kind].format('value')}: raise Surprise", "return value"]
        if isinstance(kind, GraphQLScalarType):
            return [f"return {self.keep('parse', kind.coerce_input_value)}(value)"]
        return None

    def _object(self, kind: GraphQLInputObjectType) -> list[str] | None:
        definition = kind.extensions.get("strawberry-definition")
        if not isinstance(definition, StrawberryObjectDefinition) or definition.from_input is not None:
            return None
        if kind.is_one_of or "out_type" in vars(kind):
            return None
        lines = ["if type(value) is not dict: raise Surprise", "get, count = value.get, len(value)"]
        given = []
        for number, (name, field) in enumerate(kind.fields.items()):
            own = field.extensions.get("strawberry-definition")
            if not isinstance(own, StrawberryField) or field.out_name is not None:
                return None
            function, otherwise = self.function(field.type), self._otherwise(field, own)
            if function is None or otherwise is None:
                return None
            value = f"v{number}"
            lines += [
                f"{value} = get({name!r}, {self._missing})",
                f"if {value} is {self._missing}: {otherwise.format(value)}",
                "else:",
                "    count -= 1",
                f"    {value} = {function}({value})",
            ]
            given.append(f"{own.python_name}={value}")
        lines.append("if count: raise Surprise")  # there is a field that is not known
        lines.append(f"return {self.keep('made', definition.origin)}({', '.join(given)})")
        return lines

    def _otherwise(self, field: GraphQLInputField, own: StrawberryField) -> str | None:
        """What is done where the field is not given; None where that is something new every time."""
        if is_required_input_field(field):
            return "raise Surprise"
        default = coerce_default_value(field)
        if default is Undefined:
            if own.default_factory is not dataclasses.MISSING:
                return None
            default = None if own.default_value is dataclasses.MISSING else own.default_value
        return "{0} = " + self.keep("default", default) if is_constant(default) else None
