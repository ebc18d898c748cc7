"""Owns the code that is made for a selection: an object's plain fields, read and checked in one function.

Each object becomes a struct that is encoded field by field. What a function does not expect (a value of
another type, an exception, something to await) makes it raise, and then graphql-core completes the same
object again: it alone says what an error is, and where. The code that is made holds names of the schema and
nothing of what a client wrote.
"""

import enum
import keyword
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

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
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField

from graph.execution.code_generation import UNEXPECTED, Surprise, Writer
from graph.execution.resolver_calls import constant_arguments
from repo import Rows

PURE = {"pure": True}
"""`metadata` of a field whose resolver is a function of its parent and of nothing else: it may be called
again, which compiled code does where a value is not what it should be."""


def reads(*attributes: str) -> dict[str, Any]:
    """`metadata` of a field whose resolver reads no other attributes of its parent than these."""
    return {"reads": attributes}


def by_fields(ways: Mapping[type, tuple[Callable[..., Any], tuple[str, ...]]]) -> dict[str, Any]:
    """`metadata` of a field that is PURE: for a class of parents, a function that makes the same of these
    fields of the parent as the resolver makes of the parent."""
    return {"by_fields": ways}


Collect = Callable[[GraphQLObjectType, FieldDetailsList], GroupedFieldSet]
"""Gives the fields that are selected below a field, for a type of what it returns."""

Complete = Callable[[Any], Any]
"""Makes of a value what is encoded. May raise anything."""

Read = Callable[[Rows[Any]], list[Any] | None]
"""Makes of rows what is encoded; None where it takes the objects."""

ReadRows = Callable[[GraphQLObjectType, GroupedFieldSet], Read]
"""Gives what reads the rows of a type, of which these fields are selected."""

Others = list[tuple[str, FieldDetailsList, str]]
"""Fields that are executed one by one: what each is called in the answer, and in the struct."""


_SCALARS = {
    "DateTime": "type({0}) is not datetime or {0}.tzinfo is not UTC",
    "BigInt": "type({0}) is not int",
    "JSON": "type({0}) not in DOCUMENTS",
}
"""The same for our own scalars; all others are encoded as they are."""
_DOCUMENTS = frozenset({dict, list, str, int, float, bool})


class OutputWriter(Writer):
    """Writes the functions for one selection and those within it."""

    def __init__(self, schema: GraphQLSchema, collect: Collect, read_rows: ReadRows) -> None:
        super().__init__()
        self._schema = schema
        self._collect = collect
        self._read_rows = read_rows
        self._known |= {
            "DOCUMENTS": _DOCUMENTS,
            "LISTS": (list, tuple),
            "Rows": Rows,
            "UTC": UTC,
            "datetime": datetime,
        }

    def object(self, parent: GraphQLObjectType, grouped: GroupedFieldSet) -> str | None:
        """The name of the function for an object; None where it has fields that are not plain."""
        name, others = self.object_with_others(parent, grouped, whole=True)
        return None if others else name

    def object_with_others(
        self, parent: GraphQLObjectType, grouped: GroupedFieldSet, whole: bool = False
    ) -> tuple[str, Others]:
        """The name of the function for an object, and the fields it leaves out. `whole`: leave off where
        there is one."""
        body: list[str] = []
        values: list[str] = []
        others: Others = []
        for number, (response_name, details) in enumerate(grouped.items()):
            value = self._field(parent, details, f"v{number}", body)
            if value is None:
                others.append((response_name, details, f"field_{number}"))
                if whole:
                    return "", others
            values.append(value or "None")
        name = self.name("object")
        self.lines.append(f"def {name}(source):")
        if parent.is_type_of is not None:
            check = self.keep("is_type_of", parent.is_type_of)
            self.lines.append(f"    if {check}(source, None) is not True: raise Surprise")
        self.lines += [f"    {line}" for line in body]
        self.lines.append(f"    return {self.struct(list(grouped), bool(others))}({', '.join(values)})")
        return name, others

    def struct(self, names: Sequence[str], is_filled: bool = False) -> str:
        """The name of a struct with these fields, by the names of the answer; those that are filled later
        may come to hold themselves what is collected as garbage."""
        fields = {f"field_{number}": name for number, name in enumerate(names)}
        kind = msgspec.defstruct("Selected", [(field, Any) for field in fields], rename=fields, gc=is_filled)
        return self.keep("Struct", kind)

    def _field(
        self, parent: GraphQLObjectType, details: FieldDetailsList, variable: str, body: list[str]
    ) -> str | None:
        """The expression of a plain field, after what was written for it; None where it is none."""
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
        """How its value is got without calling a resolver that does anything."""
        definition = field.extensions.get("strawberry-definition")
        if not isinstance(definition, StrawberryField):
            return None
        # Strawberry names the resolver so that only reads an attribute: no extension, no permission, and
        # no handler of exceptions is around it.
        if getattr(field.resolve, "__name__", "") == "_get_basic_result" and definition.is_basic_field:
            name = definition.python_name
            if name.isidentifier() and not keyword.iskeyword(name):
                return f"source.{name}"
        resolver = definition.base_resolver
        if definition.metadata.get("pure") and resolver is not None and not definition.extensions:
            assert not definition.is_async, f"{definition.name} reads something and is not pure"
            if details[0].fragment_variable_values:
                return None
            given = constant_arguments(self._schema, field, definition, details[0].node)
            if given is None:
                return None
            function: Any = resolver.wrapped_func
            return f"{self.keep('resolver', partial(function, **given) if given else function)}(source)"
        return None

    def value(
        self, kind: GraphQLOutputType, details: FieldDetailsList, variable: str, lines: list[str]
    ) -> bool:
        """Write what makes of a value what is encoded; False where that cannot be."""
        nullable = not is_non_null_type(kind)
        inner: Any = kind if nullable else kind.of_type  # type: ignore[union-attr]
        made: list[str] = []
        if is_list_type(inner):
            expression = self._item(inner.of_type, details, made)
            if expression is None:
                return False
            made += self._list(inner.of_type, details, variable, f"[{expression} for item in {variable}]")
        elif isinstance(inner, GraphQLObjectType):
            function = self.object(inner, self._collect(inner, details))
            if function is None:
                return False
            if not nullable:
                made.append(f"if {variable} is None: raise Surprise")
            made.append(f"{variable} = {function}({variable})")
        elif isinstance(inner, GraphQLEnumType):
            if (names := self._names(inner)) is None:
                return False
            made.append(f"{variable} = {names[1]}[{variable}] if type({variable}) is {names[0]} else NONE()")
            self._known["NONE"] = _surprise
        else:
            check = UNEXPECTED.get(inner) or _SCALARS.get(getattr(inner, "name", ""))
            if check is None:
                return False
            made.append(f"if {check.format(variable)}: raise Surprise")
        if nullable:
            lines.append(f"if {variable} is not None:")
            made = [f"    {line}" for line in made]
        lines += made
        return True

    def _list(
        self, kind: GraphQLOutputType, details: FieldDetailsList, variable: str, otherwise: str
    ) -> list[str]:
        """What makes of a list what is encoded: `otherwise`, but of rows that have not become objects."""
        exact = f"if type({variable}) not in LISTS: raise Surprise"
        parent = kind.of_type if is_non_null_type(kind) else kind
        if not isinstance(parent, GraphQLObjectType):
            return [exact, f"{variable} = {otherwise}"]
        read = self.keep("read", self._read_rows(parent, self._collect(parent, details)))
        found = self.name("found")
        return [
            f"{found} = {read}({variable}) if type({variable}) is Rows else None",
            f"if {found} is not None:",
            f"    {variable} = {found}",
            "else:",
            f"    if type({variable}) is Rows: {variable} = {variable}.items",
            f"    {exact}",
            f"    {variable} = {otherwise}",
        ]

    def _item(self, kind: GraphQLOutputType, details: FieldDetailsList, before: list[str]) -> str | None:
        """The expression that makes of an `item` of a list what is encoded."""
        lines: list[str] = []
        inner: Any = kind.of_type if is_non_null_type(kind) else kind
        if is_non_null_type(kind) and isinstance(inner, GraphQLObjectType):
            # An object that is None has none of its attributes.
            function = self.object(inner, self._collect(inner, details))
            return None if function is None else f"{function}(item)"
        if not self.value(kind, details, "item", lines):
            return None
        name = self.name("item")
        self.lines += [f"def {name}(item):", *(f"    {line}" for line in lines), "    return item"]
        return f"{name}(item)"

    def _names(self, kind: GraphQLEnumType) -> tuple[str, str] | None:
        definition = kind.extensions.get("strawberry-definition")
        if not isinstance(definition, StrawberryEnumDefinition):
            return None
        wrapped: Any = definition.wrapped_cls
        if not issubclass(wrapped, enum.Enum):
            return None
        members, names = self.name("Enum"), self.name("names")
        self._known[members] = wrapped
        self._known[names] = {member: kind.coerce_output_value(member) for member in wrapped}
        return members, names


def _surprise() -> Any:
    raise Surprise
