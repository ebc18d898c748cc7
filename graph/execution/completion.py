"""Generates the code that completes values: one function reads and checks the plain fields of an object.

An object becomes a struct that msgspec encodes. On anything unexpected (another type, an awaitable, an
exception) the function raises, and graphql-core completes the same object again: it alone decides what an
error is and where it belongs.
"""

import enum
import keyword
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet

from graph.execution.code_generation import UNEXPECTED_IF, CodeWriter
from graph.execution.resolver_calls import constant_arguments
from graph.strawberry_internals import enum_definition, field_definition, reads_attribute
from repo import Rows

PURE = {"pure": True}
"""`metadata` of a field whose resolver depends on its parent alone and has no effects: compiled code may call
it twice."""


def from_columns(functions: dict[type, Callable[..., Any]]) -> dict[str, Any]:
    """`metadata` of a pure field: by class of the parent, a function that returns what the resolver returns.
    Its parameters are attributes of the parent."""
    return {"from_columns": functions}


Collect = Callable[[GraphQLObjectType, FieldDetailsList], GroupedFieldSet]
"""Collects the fields selected below a field, for a type that it returns."""

Complete = Callable[[Any], Any]
"""Completes a value for encoding. May raise anything."""

EncodeRows = Callable[[Rows[Any]], list[Any] | None]
"""Completes rows for encoding; None if that takes objects."""

RowEncoders = Callable[[GraphQLObjectType, GroupedFieldSet], EncodeRows]
"""Makes the function for rows of a type with these selected fields."""


class RemainingField(NamedTuple):
    """A field that the generated function of its object leaves out."""

    response_name: str
    details: FieldDetailsList
    attribute: str
    """Of the struct."""


_UNEXPECTED_IF = {
    "DateTime": "type({0}) is not datetime or {0}.tzinfo is not UTC",
    "BigInt": "type({0}) is not int",
    "JSON": "type({0}) not in JSON_TYPES",
}
"""The same as UNEXPECTED_IF for this schema's scalars; values of any others are encoded as they are."""
_JSON_TYPES = frozenset({dict, list, str, int, float, bool})


class OutputWriter(CodeWriter):
    """Writes the functions for one selection and those within it."""

    def __init__(self, schema: GraphQLSchema, collect: Collect, row_encoders: RowEncoders) -> None:
        super().__init__()
        self._schema = schema
        self._collect = collect
        self._row_encoders = row_encoders
        self._namespace |= {
            "JSON_TYPES": _JSON_TYPES,
            "LISTS": (list, tuple),
            "Rows": Rows,
            "UTC": UTC,
            "datetime": datetime,
        }

    def plain_object(self, parent: GraphQLObjectType, grouped: GroupedFieldSet) -> str | None:
        """The name of the function for an object; None if some of its fields are not plain."""
        name, remaining = self.object(parent, grouped, only_plain=True)
        return None if remaining else name

    def object(
        self, parent: GraphQLObjectType, grouped: GroupedFieldSet, only_plain: bool = False
    ) -> tuple[str, list[RemainingField]]:
        """The name of the function for an object, and the fields that it leaves out. With `only_plain` stops
        at the first of these."""
        body: list[str] = []
        values: list[str] = []
        remaining: list[RemainingField] = []
        for number, (response_name, details) in enumerate(grouped.items()):
            value = self._field(parent, details, f"v{number}", body)
            if value is None:
                remaining.append(RemainingField(response_name, details, f"field_{number}"))
                if only_plain:
                    return "", remaining
            values.append(value or "None")
        name = self.unique_name("object")
        self.lines.append(f"def {name}(source):")
        if parent.is_type_of is not None:
            check = self.constant("is_type_of", parent.is_type_of)
            self.lines.append(f"    if {check}(source, None) is not True: raise UnexpectedValue")
        self.lines += [f"    {line}" for line in body]
        self.lines.append(f"    return {self.struct(list(grouped), bool(remaining))}({', '.join(values)})")
        return name, remaining

    def struct(self, names: Sequence[str], is_completed_later: bool = False) -> str:
        """The name of a struct with these fields of the response. One that is completed later is tracked by
        the garbage collector."""
        fields = {f"field_{number}": name for number, name in enumerate(names)}
        kind = msgspec.defstruct(
            "Selected", [(field, Any) for field in fields], rename=fields, gc=is_completed_later
        )
        return self.constant("Struct", kind)

    def _field(
        self, parent: GraphQLObjectType, details: FieldDetailsList, variable: str, body: list[str]
    ) -> str | None:
        """The expression of a plain field, computed by lines added to `body`; None if it is not plain."""
        field_name = details[0].node.name.value
        if field_name == "__typename":
            return repr(parent.name)
        field = self._schema.get_field(parent, field_name)
        source = None if field is None else self._source(field, details)
        if field is None or source is None:
            return None
        lines = [f"{variable} = {source}"]
        if not self.value(field.type, details, variable, lines):
            return None
        body += lines
        return variable

    def _source(self, field: GraphQLField, details: FieldDetailsList) -> str | None:
        """The expression of a field's value: an attribute, or the call of a pure resolver."""
        definition = field_definition(field)
        if definition is None:
            return None
        if reads_attribute(field, definition):
            name = definition.python_name
            if name.isidentifier() and not keyword.iskeyword(name):
                return f"source.{name}"
        resolver = definition.base_resolver
        if definition.metadata.get("pure") and resolver is not None and not definition.extensions:
            assert not definition.is_async, f"{definition.name} is marked as pure and is a coroutine"
            if details[0].fragment_variable_values:
                return None
            arguments = constant_arguments(self._schema, field, definition, details[0].node)
            if arguments is None:
                return None
            function: Any = resolver.wrapped_func
            name = self.constant("resolver", partial(function, **arguments) if arguments else function)
            return f"{name}(source)"
        return None

    def value(
        self, kind: GraphQLOutputType, details: FieldDetailsList, variable: str, lines: list[str]
    ) -> bool:
        """Add the lines that complete a value in place; False if it cannot be compiled."""
        nullable = not is_non_null_type(kind)
        inner: Any = kind if nullable else kind.of_type  # type: ignore[union-attr]
        body: list[str] = []
        if is_list_type(inner):
            expression = self._item(inner.of_type, details)
            if expression is None:
                return False
            body += self._list(inner.of_type, details, variable, f"[{expression} for item in {variable}]")
        elif isinstance(inner, GraphQLObjectType):
            function = self.plain_object(inner, self._collect(inner, details))
            if function is None:
                return False
            if not nullable:
                body.append(f"if {variable} is None: raise UnexpectedValue")
            body.append(f"{variable} = {function}({variable})")
        elif isinstance(inner, GraphQLEnumType):
            if (names := self._enum_names(inner)) is None:
                return False
            kind_name, names_name = names
            body.append(f"if type({variable}) is not {kind_name}: raise UnexpectedValue")
            body.append(f"{variable} = {names_name}[{variable}]")
        else:
            check = UNEXPECTED_IF.get(inner) or _UNEXPECTED_IF.get(getattr(inner, "name", ""))
            if check is None:
                return False
            body.append(f"if {check.format(variable)}: raise UnexpectedValue")
        if nullable:
            lines.append(f"if {variable} is not None:")
            body = [f"    {line}" for line in body]
        lines += body
        return True

    def _list(
        self, kind: GraphQLOutputType, details: FieldDetailsList, variable: str, expression: str
    ) -> list[str]:
        """The lines that complete a list: by `expression`, or from its rows if there are no objects yet."""
        exact = f"if type({variable}) not in LISTS: raise UnexpectedValue"
        parent = kind.of_type if is_non_null_type(kind) else kind
        if not isinstance(parent, GraphQLObjectType):
            return [exact, f"{variable} = {expression}"]
        encode = self.constant("encode_rows", self._row_encoders(parent, self._collect(parent, details)))
        encoded = self.unique_name("encoded")
        return [
            f"{encoded} = {encode}({variable}) if type({variable}) is Rows else None",
            f"if {encoded} is not None:",
            f"    {variable} = {encoded}",
            "else:",
            f"    if type({variable}) is Rows: {variable} = {variable}.items",
            f"    {exact}",
            f"    {variable} = {expression}",
        ]

    def _item(self, kind: GraphQLOutputType, details: FieldDetailsList) -> str | None:
        """The expression that completes an `item` of a list."""
        lines: list[str] = []
        inner: Any = kind.of_type if is_non_null_type(kind) else kind
        if is_non_null_type(kind) and isinstance(inner, GraphQLObjectType):
            # No check for None: it has none of the attributes.
            function = self.plain_object(inner, self._collect(inner, details))
            return None if function is None else f"{function}(item)"
        if not self.value(kind, details, "item", lines):
            return None
        name = self.unique_name("item")
        self.lines += [f"def {name}(item):", *(f"    {line}" for line in lines), "    return item"]
        return f"{name}(item)"

    def _enum_names(self, kind: GraphQLEnumType) -> tuple[str, str] | None:
        """The names of the enumeration and of a dict of its members' names in the schema."""
        definition = enum_definition(kind)
        members: Any = None if definition is None else definition.wrapped_cls
        if members is None or not issubclass(members, enum.Enum):
            return None
        names = {member: kind.coerce_output_value(member) for member in members}
        return self.constant("Enum", members), self.constant("names", names)
