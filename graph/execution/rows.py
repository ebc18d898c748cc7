"""Owns the code that makes of rows what is encoded, without objects in between.

What a column holds is known, so that its values need no look at their types. Attributes that are no column
are read of an object that is made for them.
"""

from collections.abc import Callable, Sequence
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.types.field import StrawberryField

from graph.execution.completion import Collect, OutputWriter
from repo import COMPOSITES, SOURCE_FIELDS, Column, ColumnKind, Composite, Layout, Rows

_MOST_MADE = 100
"""Functions that are kept with the rows of one statement."""

_SURE: dict[str, frozenset[ColumnKind]] = {
    GraphQLString.name: frozenset({ColumnKind.TEXT}),
    GraphQLInt.name: frozenset({ColumnKind.INTEGER}),
    "BigInt": frozenset({ColumnKind.INTEGER, ColumnKind.BIG_INTEGER}),
    "DateTime": frozenset({ColumnKind.TIME}),
    "JSON": frozenset({ColumnKind.DOCUMENT}),
}
"""What a column has to hold to be encoded as a scalar as it is."""

Build = Callable[[Sequence[Sequence[Any]]], list[Any]]


class RowsReader:
    """Reads the rows of a type, of which some fields are selected."""

    def __init__(
        self, schema: GraphQLSchema, collect: Collect, parent: GraphQLObjectType, grouped: GroupedFieldSet
    ) -> None:
        self._schema = schema
        self._collect = collect
        self._parent = parent
        self._grouped = grouped

    def __call__(self, rows: Rows[Any]) -> list[Any] | None:
        """What is encoded for each row; None where it takes the objects."""
        raw, made = rows.raw, rows.layout.cache
        if raw is None:
            return None
        if self not in made:
            if len(made) == _MOST_MADE:
                made.clear()
            writer = _RowWriter(self._schema, self._collect, rows.layout)
            made[self] = writer.rows(self._parent, self._grouped)
        build: Build | None = made[self]
        try:
            return None if build is None else build(raw)
        except Exception:
            return None  # with the objects it will be seen what is wrong


class _RowWriter(OutputWriter):
    """Writes the function for rows of one layout."""

    def __init__(self, schema: GraphQLSchema, collect: Collect, layout: Layout[Any]) -> None:
        super().__init__(
            schema, collect, lambda parent, grouped: RowsReader(schema, collect, parent, grouped)
        )
        self._layout = layout
        self._needed: set[str] = set()

    def rows(self, parent: GraphQLObjectType, grouped: GroupedFieldSet) -> Build | None:
        """The function; None where something has to be resolved, or is not in the rows."""
        if parent.is_type_of is not None:
            entity: Any = self._layout.entity
            if parent.is_type_of(entity.__new__(entity), None) is not True:  # type: ignore[arg-type]
                return None
        body: list[str] = []
        values: list[str] = []
        for number, details in enumerate(grouped.values()):
            value = self._cell_of(parent, details) or self._by_fields(parent, details)
            value = value or self._through(parent, details, f"v{number}", body)
            if value is None:
                return None
            values.append(value)
        made = f"{self.struct(list(grouped))}({', '.join(values)})"
        if not body:
            self.lines += ["def rows(raw):", f"    return [{made} for row in raw]"]
        else:
            if not self._needed <= self._layout.columns.keys():
                return None
            build = self.keep("build", self._layout.builder(sorted(self._needed)))
            body = [f"source = {build}(row)", *body, f"append({made})"]
            self.lines += [
                "def rows(raw):",
                "    made = []",
                "    append = made.append",
                "    for row in raw:",
            ]
            self.lines += [*(f"        {line}" for line in body), "    return made"]
        function: Build = self.functions()["rows"]
        return function

    def _defined(
        self, parent: GraphQLObjectType, name: str
    ) -> tuple[GraphQLField | None, StrawberryField | None]:
        """A field, and what Strawberry knows of it."""
        field = self._schema.get_field(parent, name)
        definition = None if field is None else field.extensions.get("strawberry-definition")
        return field, definition if isinstance(definition, StrawberryField) else None

    def _cell_of(
        self, parent: GraphQLObjectType, details: FieldDetailsList, part: Composite | None = None
    ) -> str | None:
        """The expression of a field that a row itself has, of the whole object or of a part of it."""
        field_name = details[0].node.name.value
        if field_name == "__typename":
            return repr(parent.name)
        field, definition = self._defined(parent, field_name)
        if field is None or definition is None or not definition.is_basic_field:
            return None
        name: str | None = definition.python_name
        if part is not None:
            name = part.fields.get(definition.python_name)
        column = None if name is None else self._layout.columns.get(name)
        if column is not None:
            return self._cell(field.type, column, part is not None and name in part.needed)
        inner = None if part is not None or name is None else COMPOSITES.get(name)
        if inner is None or not isinstance(field.type, GraphQLObjectType):
            return None
        return self._part(field.type, details, inner)

    def _part(self, kind: GraphQLObjectType, details: FieldDetailsList, part: Composite) -> str | None:
        columns = self._layout.columns
        if not {*part.needed, *part.fields.values()} <= columns.keys():
            return None
        grouped, values = self._collect(kind, details), []
        for inner in grouped.values():
            value = self._cell_of(kind, inner, part)
            if value is None:
                return None
            values.append(value)
        there = " and ".join(f"row[{columns[each].index}] is not None" for each in part.needed)
        return f"({self.struct(list(grouped))}({', '.join(values)}) if {there} else None)"

    def _by_fields(self, parent: GraphQLObjectType, details: FieldDetailsList) -> str | None:
        """The expression of a field that some columns make."""
        _, definition = self._defined(parent, details[0].node.name.value)
        if definition is None or not definition.metadata.get("pure"):
            return None
        ways = definition.metadata.get("by_fields", {})
        if self._layout.entity not in ways or definition.extensions:
            return None
        function, names = ways[self._layout.entity]
        columns = [self._layout.columns.get(name) for name in names]
        cells = [
            f"row[{each.index}]" for each in columns if each and each.is_required and each.decode is None
        ]
        if len(cells) < len(names):
            return None
        return f"{self.keep('function', function)}({', '.join(cells)})"

    def _cell(self, kind: GraphQLOutputType, column: Column, is_there: bool = False) -> str | None:
        """The expression of what a column holds; None where it may be something unexpected."""
        needed = is_non_null_type(kind)
        inner: Any = kind.of_type if needed else kind  # type: ignore[union-attr]
        cell = f"row[{column.index}]"
        if isinstance(inner, GraphQLEnumType) and column.members is not None:
            names: dict[int | None, Any] = {
                number: inner.coerce_output_value(member) for number, member in column.members.items()
            }
            if not needed:
                names[None] = None
            return f"{self.keep('names', names)}[{cell}]"
        if column.kind not in _SURE.get(getattr(inner, "name", ""), ()):
            return None
        is_there = is_there or column.is_required
        if needed and not is_there:
            return None
        if column.decode is None:
            return cell
        decode = self.keep("decode", column.decode)
        return f"{decode}({cell})" if is_there else f"(None if (cell := {cell}) is None else {decode}(cell))"

    def _through(
        self, parent: GraphQLObjectType, details: FieldDetailsList, variable: str, body: list[str]
    ) -> str | None:
        """The expression of a field that is read of an object."""
        _, definition = self._defined(parent, details[0].node.name.value)
        if definition is None:
            return None
        attributes = definition.metadata.get("reads") or (definition.python_name,)
        needed = {name for each in attributes for name in SOURCE_FIELDS.get(each, (each,))}
        self._needed |= needed & self._layout.fields
        return self._field(parent, details, variable, body)
