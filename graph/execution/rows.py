"""Generates the code that encodes database rows, without objects in between.

The kind of a column is known, so its values need no type checks. Attributes that are computed from columns
are read from an object made for them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.types.field import StrawberryField

from graph.execution.attributes import attributes_read
from graph.execution.code_generation import UnexpectedValue
from graph.execution.completion import Collect, OutputWriter
from graph.strawberry_internals import field_definition
from repo import Column, ColumnKind, Layout, Rows

_MAX_FUNCTIONS = 100
"""Compiled functions that are kept with one statement."""

_EXACT: dict[str, frozenset[ColumnKind]] = {
    GraphQLString.name: frozenset({ColumnKind.TEXT}),
    GraphQLInt.name: frozenset({ColumnKind.INTEGER}),
    "BigInt": frozenset({ColumnKind.INTEGER, ColumnKind.BIG_INTEGER}),
    "DateTime": frozenset({ColumnKind.TIME}),
    "JSON": frozenset({ColumnKind.DOCUMENT}),
}
"""The kinds of columns whose values are encoded as they are, by scalar."""

Build = Callable[[Sequence[Sequence[Any]]], list[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class RowEncoder:
    """Encodes rows of one type and selection."""

    schema: GraphQLSchema
    collect: Collect
    parent: GraphQLObjectType
    grouped: GroupedFieldSet

    def __call__(self, rows: Rows[Any]) -> list[Any] | None:
        """What is encoded of each row; None if that takes objects."""
        raw, compiled = rows.raw, rows.layout.cache
        if raw is None:
            return None
        if self not in compiled:
            if len(compiled) == _MAX_FUNCTIONS:
                compiled.clear()
            writer = _RowWriter(self.schema, self.collect, rows.layout)
            compiled[self] = writer.compile_rows(self.parent, self.grouped)
        build: Build | None = compiled[self]
        try:
            return None if build is None else build(raw)
        except Exception:
            return None  # completing the objects reports the error


class _RowWriter(OutputWriter):
    """Writes the function for the rows of one statement."""

    def __init__(self, schema: GraphQLSchema, collect: Collect, layout: Layout[Any]) -> None:
        super().__init__(
            schema, collect, lambda parent, grouped: RowEncoder(schema, collect, parent, grouped)
        )
        self._layout = layout
        self._attributes: set[str] = set()
        """Those that are read from an object made of the row."""
        self._decoded: dict[Column, str] = {}
        """The variables of columns whose values are decoded all at once."""

    def compile_rows(self, parent: GraphQLObjectType, grouped: GroupedFieldSet) -> Build | None:
        """The function; None if something has to be resolved, or was not read."""
        if parent.is_type_of is not None:
            entity: Any = self._layout.entity
            if parent.is_type_of(entity.__new__(entity), None) is not True:  # type: ignore[arg-type]
                return None
        body: list[str] = []
        values: list[str] = []
        columns = self._layout.columns
        for number, details in enumerate(grouped.values()):
            value = self._cell_of(parent, details, columns) or self._from_columns(parent, details)
            value = value or self._through(parent, details, f"v{number}", body)
            if value is None:
                return None
            values.append(value)
        struct = f"{self.struct(list(grouped))}({', '.join(values)})"
        each = self._each_row()
        if not body:
            self.lines += ["def rows(raw):", f"    return [{struct} for {each}]"]
        else:
            builder = self._layout.builder_of(self._attributes)
            if builder is None:
                return None
            body = [f"source = {self.constant('build', builder)}(row)", *body, f"append({struct})"]
            self.lines += [
                "def rows(raw):",
                "    structs = []",
                "    append = structs.append",
                f"    for {each}:",
            ]
            self.lines += [*(f"        {line}" for line in body), "    return structs"]
        function: Build = self.compile()["rows"]
        return function

    def _each_row(self) -> str:
        """A loop over the rows, with the values of the columns that are decoded all at once."""
        if not self._decoded:
            return "row in raw"
        columns = [
            f"{self.constant('decode', column.decode_all)}([{column.cell} for row in raw])"
            for column in self._decoded
        ]
        return f"row, {', '.join(self._decoded.values())} in zip(raw, {', '.join(columns)})"

    def _defined(
        self, parent: GraphQLObjectType, name: str
    ) -> tuple[GraphQLField | None, StrawberryField | None]:
        """A field and Strawberry's definition of it."""
        field = self._schema.get_field(parent, name)
        return field, field_definition(field)

    def _cell_of(
        self,
        parent: GraphQLObjectType,
        details: FieldDetailsList,
        columns: Mapping[str, Column],
        present: Sequence[Column] = (),
    ) -> str | None:
        """The expression of a field that is one of these columns, or a composite of columns. The columns
        `present` have a value."""
        field_name = details[0].node.name.value
        if field_name == "__typename":
            return repr(parent.name)
        field, definition = self._defined(parent, field_name)
        if field is None or definition is None or not definition.is_basic_field:
            return None
        column = columns.get(definition.python_name)
        if column is not None:
            return self._cell(field.type, column, column in present)
        composite = self._layout.composite(definition.python_name)
        if composite is None or not isinstance(field.type, GraphQLObjectType):
            return None
        return self._composite(field.type, details, *composite)

    def _composite(
        self,
        kind: GraphQLObjectType,
        details: FieldDetailsList,
        present: Sequence[Column],
        columns: Mapping[str, Column],
    ) -> str | None:
        grouped, values = self._collect(kind, details), []
        for inner in grouped.values():
            value = self._cell_of(kind, inner, columns, present)
            if value is None:
                return None
            values.append(value)
        is_present = " and ".join(f"{each.cell} is not None" for each in present)
        return f"({self.struct(list(grouped))}({', '.join(values)}) if {is_present} else None)"

    def _from_columns(self, parent: GraphQLObjectType, details: FieldDetailsList) -> str | None:
        """The expression of a pure field that is computed from columns."""
        _, definition = self._defined(parent, details[0].node.name.value)
        if definition is None or not definition.metadata.get("pure"):
            return None
        function = definition.metadata.get("from_columns", {}).get(self._layout.entity)
        if function is None or definition.extensions:
            return None
        columns = [self._layout.columns.get(name) for name in signature(function).parameters]
        cells = [each.cell for each in columns if each and each.is_required and each.decode is None]
        if len(cells) < len(columns):
            return None
        return f"{self.constant('function', function)}({', '.join(cells)})"

    def _cell(self, kind: GraphQLOutputType, column: Column, is_present: bool = False) -> str | None:
        """The expression of a column; None if its values may be unexpected."""
        required = is_non_null_type(kind)
        inner: Any = kind.of_type if required else kind  # type: ignore[union-attr]
        cell = column.cell
        if isinstance(inner, GraphQLEnumType) and column.members is not None:
            names: dict[int | None, Any] = {
                number: inner.coerce_output_value(member) for number, member in column.members.items()
            }
            if not required:
                names[None] = None
            return f"{self.constant('names', names)}[{cell}]"
        is_finite = inner is GraphQLFloat and column.kind is ColumnKind.FLOAT
        if not is_finite and column.kind not in _EXACT.get(getattr(inner, "name", ""), ()):
            return None
        is_present = is_present or column.is_required
        if required and not is_present:
            return None
        if column.decode_all is not None:
            if column not in self._decoded:
                self._decoded[column] = self.unique_name("decoded")
            return self._decoded[column]
        convert = _finite if is_finite else column.decode
        if convert is None:
            return cell
        decode = self.constant("decode", convert)
        return (
            f"{decode}({cell})" if is_present else f"(None if (cell := {cell}) is None else {decode}(cell))"
        )

    def _through(
        self, parent: GraphQLObjectType, details: FieldDetailsList, variable: str, body: list[str]
    ) -> str | None:
        """The expression of a field that is read from an object made of the row."""
        _, definition = self._defined(parent, details[0].node.name.value)
        if definition is None:
            return None
        attributes = attributes_read(definition, self._layout.entity)
        if attributes is None:
            return None
        self._attributes |= attributes
        return self._field(parent, details, variable, body)


def _finite(value: float) -> float:
    """The number: JSON has neither infinity nor NaN. Raises UnexpectedValue."""
    if not -math.inf < value < math.inf:
        raise UnexpectedValue
    return value
