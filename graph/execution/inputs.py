"""Compiles the coercion of variables: one generated function per input type.

It accepts a subset of what graphql-core and Strawberry accept, with the same results, and raises for anything
else, which is then left to these two.
"""

import dataclasses
import enum
from collections.abc import Callable
from datetime import datetime
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLFloat,
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

from graph.execution.code_generation import UNEXPECTED_IF, CodeWriter
from graph.strawberry_internals import DEFINITION

Coerce = Callable[[Any], Any]
"""Coerces a JSON value to what a resolver accepts. May raise anything."""

_CONSTANTS = (type(None), str, int, float, bool, enum.Enum, datetime, type(UNSET))

MISSING: Any = object()
"""The value of an argument or variable that has none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Variable:
    """A variable of an operation."""

    name: str
    coerce: Coerce
    default: Any
    """MISSING if it has none."""
    is_required: bool


def variables_of(
    schema: GraphQLSchema, operation: OperationDefinitionNode, inputs: "Inputs"
) -> list[Variable] | None:
    """The variables of a valid operation; None if one of them cannot be compiled."""
    variables = []
    for definition in operation.variable_definitions or ():
        kind: Any = type_from_ast(schema, definition.type)
        coerce, default = inputs.coerce(kind), MISSING
        if definition.default_value is not None:
            default = coerce_input_literal(definition.default_value, kind)
            # A default object would have to be converted for each execution.
            if not is_constant(default) or default is Undefined:
                return None
        if coerce is None:
            return None
        variables.append(Variable(definition.variable.name.value, coerce, default, is_non_null_type(kind)))
    return variables


def coerce_variables(
    variables: list[Variable] | None, values: dict[str, Any] | None
) -> dict[str, Any] | None:
    """The values of variables as resolvers accept them; None if graphql-core has to coerce them."""
    if variables is None:
        return None
    values, inputs = values or {}, {}
    try:
        for variable in variables:
            if variable.name in values:
                inputs[variable.name] = variable.coerce(values[variable.name])
            elif variable.default is not MISSING:
                inputs[variable.name] = variable.default
            elif variable.is_required:
                return None
    except Exception:
        return None
    return inputs


def is_constant(value: object) -> bool:
    """Whether two calls may share this value."""
    return isinstance(value, _CONSTANTS)


class Inputs:
    """The compiled input types of a schema."""

    def __init__(self) -> None:
        self._compiled: dict[str, Coerce | None] = {}

    def coerce(self, kind: GraphQLInputType) -> Coerce | None:
        """The function for values of this type; None if it cannot be compiled."""
        name = str(kind)
        if name not in self._compiled:
            writer = _InputWriter()
            function = writer.function(kind)
            self._compiled[name] = None if function is None else writer.compile()[function]
        return self._compiled[name]


class _InputWriter(CodeWriter):
    """Writes the functions for one type and those within it."""

    def __init__(self) -> None:
        super().__init__()
        self._functions: dict[str, str | None] = {}
        self._missing = self.constant("missing", object())

    def function(self, kind: Any) -> str | None:
        """The name of the function for values of this type."""
        key = str(kind)
        if key not in self._functions:
            # A recursive type is not compiled.
            self._functions[key] = None
            self._functions[key] = self._write(kind)
        return self._functions[key]

    def _write(self, kind: Any) -> str | None:
        nullable = not is_non_null_type(kind)
        inner = kind if nullable else kind.of_type
        body = self._body(inner)
        if body is None:
            return None
        name = self.unique_name("value")
        none = "return None" if nullable else "raise UnexpectedValue"
        self.lines += [f"def {name}(value):", f"    if value is None: {none}"]
        self.lines += [f"    {line}" for line in body]
        return name

    def _body(self, kind: Any) -> list[str] | None:
        if is_list_type(kind):
            function = self.function(kind.of_type)
            if function is None:
                return None
            return [
                "if type(value) is not list: raise UnexpectedValue",
                f"return [{function}(item) for item in value]",
            ]
        if isinstance(kind, GraphQLInputObjectType):
            return self._object(kind)
        if isinstance(kind, GraphQLEnumType):
            names = {name: kind.coerce_input_value(name) for name in kind.values}
            return [f"return {self.constant('names', names)}[value]"]
        if kind is GraphQLFloat:
            unexpected = UNEXPECTED_IF[kind].format("value")
            return [
                "if type(value) is int: value = float(value)",
                f"if {unexpected}: raise UnexpectedValue",
                "return value",
            ]
        if kind in UNEXPECTED_IF:
            return [f"if {UNEXPECTED_IF[kind].format('value')}: raise UnexpectedValue", "return value"]
        if isinstance(kind, GraphQLScalarType):
            return [f"return {self.constant('parse', kind.coerce_input_value)}(value)"]
        return None

    def _object(self, kind: GraphQLInputObjectType) -> list[str] | None:
        definition = kind.extensions.get(DEFINITION)
        if not isinstance(definition, StrawberryObjectDefinition) or definition.from_input is not None:
            return None
        if kind.is_one_of or "out_type" in vars(kind):
            return None
        lines = ["if type(value) is not dict: raise UnexpectedValue", "get, count = value.get, len(value)"]
        arguments = []
        for number, (name, field) in enumerate(kind.fields.items()):
            own = field.extensions.get(DEFINITION)
            if not isinstance(own, StrawberryField) or field.out_name is not None:
                return None
            function, default = self.function(field.type), self._default(field, own)
            if function is None or default is None:
                return None
            value = f"v{number}"
            lines += [
                f"{value} = get({name!r}, {self._missing})",
                f"if {value} is {self._missing}: {default.format(value)}",
                "else:",
                "    count -= 1",
                f"    {value} = {function}({value})",
            ]
            arguments.append(f"{own.python_name}={value}")
        lines.append("if count: raise UnexpectedValue")  # an unknown field
        lines.append(f"return {self.constant('Input', definition.origin)}({', '.join(arguments)})")
        return lines

    def _default(self, field: GraphQLInputField, own: StrawberryField) -> str | None:
        """The statement for a field that is absent; None if its default is created for each execution."""
        if is_required_input_field(field):
            return "raise UnexpectedValue"
        default = coerce_default_value(field)
        if default is Undefined:
            if own.default_factory is not dataclasses.MISSING:
                return None
            default = None if own.default_value is dataclasses.MISSING else own.default_value
        return "{0} = " + self.constant("default", default) if is_constant(default) else None
