"""Owns the code that is made for a selection: an object's plain fields, read and checked in one function.

Each object becomes a struct that is encoded field by field. What a function does not expect (a value of
another type, an exception, something to await) makes it raise, and then graphql-core completes the same
object again: it alone says what an error is, and where. The code that is made holds names of the schema and
nothing of what a client wrote.
"""

import enum
import keyword
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField

PURE = {"pure": True}
"""`metadata` of a field whose resolver is a function of its parent and of nothing else: it may be called
again, which compiled code does where a value is not what it should be."""

Collect = Callable[[GraphQLObjectType, FieldDetailsList], GroupedFieldSet]
"""Gives the fields that are selected below a field, for a type of what it returns."""

Others = list[tuple[str, FieldDetailsList, str]]
"""Fields that are executed one by one: what each is called in the answer, and in the struct."""


class Surprise(Exception):
    """A value is not what compiled code expects."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What was made of the fields that are selected of one type."""

    build: Callable[[Any], Any] | None
    """Makes the struct of an object, where it has plain fields. May raise anything."""
    others: Others
    """What has to be put into the struct then."""


_INT32 = 2**31
_EXACT: dict[object, str] = {
    GraphQLString: "type({0}) is not str",
    GraphQLID: "type({0}) is not str",
    GraphQLBoolean: "type({0}) is not bool",
    GraphQLInt: f"type({{0}}) is not int or not {-_INT32} <= {{0}} < {_INT32}",
    GraphQLFloat: "type({0}) is not float or not -INFINITY < {0} < INFINITY",
}
_SCALARS = {
    "DateTime": "type({0}) is not datetime or {0}.tzinfo is not UTC",
    "BigInt": "type({0}) is not int",
    "JSON": "type({0}) not in DOCUMENTS",
}
"""When a value of a scalar is a surprise; all others are encoded as they are."""
_DOCUMENTS = frozenset({dict, list, str, int, float, bool})


def selection_of(
    schema: GraphQLSchema, parent: GraphQLObjectType, grouped: GroupedFieldSet, collect: Collect
) -> Selection:
    """What can be made of these fields of `parent`."""
    writer = _Writer(schema, collect)
    built = writer.object(parent, grouped, with_others=True)
    if built is None:
        return Selection(None, [])
    name, others = built
    return Selection(writer.functions()[name], others)


class _Writer:
    """Writes the functions for one selection and those within it."""

    def __init__(self, schema: GraphQLSchema, collect: Collect) -> None:
        self._schema = schema
        self._collect = collect
        self._lines: list[str] = []
        self._known: dict[str, Any] = {
            "DOCUMENTS": _DOCUMENTS,
            "INFINITY": float("inf"),
            "LISTS": (list, tuple),
            "Surprise": Surprise,
            "UTC": UTC,
            "datetime": datetime,
        }
        self._count = 0

    def functions(self) -> dict[str, Any]:
        """What was written, ready to be called."""
        exec(compile("\n".join(self._lines), "<selection>", "exec"), self._known)
        return self._known

    def object(
        self, parent: GraphQLObjectType, grouped: GroupedFieldSet, with_others: bool = False
    ) -> tuple[str, Others] | None:
        """The name of the function for an object, and the fields it leaves out. None where it has no plain
        field, or where it has others and must not leave them out."""
        body: list[str] = []
        values: list[str] = []
        others: Others = []
        names: dict[str, str] = {}
        for number, (response_name, details) in enumerate(grouped.items()):
            attribute = f"field_{number}"
            names[attribute] = response_name
            value = self._field(parent, details, f"v{number}", body)
            if value is None:
                if not with_others:
                    return None
                others.append((response_name, details, attribute))
            values.append(value or "None")
        if len(others) == len(values):
            return None
        name, struct = self._name("object"), self._name("Struct")
        self._known[struct] = msgspec.defstruct(
            "Selected", [(attribute, Any) for attribute in names], rename=names, gc=bool(others)
        )
        lines = [f"def {name}(source):"]
        if parent.is_type_of is not None:
            check = self._name("is_type_of")
            self._known[check] = parent.is_type_of
            lines.append(f"    if {check}(source, None) is not True: raise Surprise")
        lines += [f"    {line}" for line in body]
        lines.append(f"    return {struct}({', '.join(values)})")
        self._lines += lines
        return name, others

    def _field(
        self, parent: GraphQLObjectType, details: FieldDetailsList, variable: str, body: list[str]
    ) -> str | None:
        """The expression of a plain field, after what was written for it; None where it is none."""
        field_name = details[0].node.name.value
        if field_name == "__typename":
            return repr(parent.name)
        field = self._schema.get_field(parent, field_name)
        source = None if field is None else self._source(field)
        if field is None or source is None:
            return None
        lines = [f"{variable} = {source}"]
        if not self._value(field.type, details, variable, lines):
            return None
        body += lines
        return variable

    def _source(self, field: GraphQLField) -> str | None:
        """How its value is got without calling a resolver that does anything."""
        definition = field.extensions.get("strawberry-definition")
        if not isinstance(definition, StrawberryField) or field.args:
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
            function = self._name("resolver")
            self._known[function] = resolver.wrapped_func
            return f"{function}(source)"
        return None

    def _value(
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
            made.append(f"if type({variable}) not in LISTS: raise Surprise")
            made.append(f"{variable} = [{expression} for item in {variable}]")
        elif isinstance(inner, GraphQLObjectType):
            function = self.object(inner, self._collect(inner, details))
            if function is None:
                return False
            if not nullable:
                made.append(f"if {variable} is None: raise Surprise")
            made.append(f"{variable} = {function[0]}({variable})")
        elif isinstance(inner, GraphQLEnumType):
            if (names := self._names(inner)) is None:
                return False
            made.append(f"{variable} = {names[1]}[{variable}] if type({variable}) is {names[0]} else NONE()")
            self._known["NONE"] = _surprise
        else:
            check = _EXACT.get(inner) or _SCALARS.get(getattr(inner, "name", ""))
            if check is None:
                return False
            made.append(f"if {check.format(variable)}: raise Surprise")
        if nullable:
            lines.append(f"if {variable} is not None:")
            made = [f"    {line}" for line in made]
        lines += made
        return True

    def _item(self, kind: GraphQLOutputType, details: FieldDetailsList, before: list[str]) -> str | None:
        """The expression that makes of an `item` of a list what is encoded."""
        lines: list[str] = []
        inner: Any = kind.of_type if is_non_null_type(kind) else kind
        if is_non_null_type(kind) and isinstance(inner, GraphQLObjectType):
            # An object that is None has none of its attributes.
            function = self.object(inner, self._collect(inner, details))
            return None if function is None else f"{function[0]}(item)"
        if not self._value(kind, details, "item", lines):
            return None
        name = self._name("item")
        self._lines += [f"def {name}(item):", *(f"    {line}" for line in lines), "    return item"]
        return f"{name}(item)"

    def _names(self, kind: GraphQLEnumType) -> tuple[str, str] | None:
        definition = kind.extensions.get("strawberry-definition")
        if not isinstance(definition, StrawberryEnumDefinition):
            return None
        wrapped: Any = definition.wrapped_cls
        if not issubclass(wrapped, enum.Enum):
            return None
        members, names = self._name("Enum"), self._name("names")
        self._known[members] = wrapped
        self._known[names] = {member: kind.coerce_output_value(member) for member in wrapped}
        return members, names

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"


def _surprise() -> Any:
    raise Surprise
