"""Computes the cost of an operation: an upper bound of the number of objects that it may return.

A list multiplies the cost of its selection by the number of its items, which the metadata of its field
declares. Fields that `@skip` leaves out count too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    value_from_ast_untyped,
)
from graphql.utilities.coerce_input_value import coerce_default_value

import repo
from graph.limits.variables import VariableLengths
from graph.strawberry_internals import field_metadata

T = TypeVar("T")

SHORT_LIST_ITEMS = 5
"""Assumed length of a list without a page: labels, phases, logs, attempts."""
FRAME_ITEMS = 500
"""The most items in a frame of a subscription, unless the client requests a larger first page."""


@dataclass(frozen=True, slots=True)
class Items:
    """How many items a field returns, in a list or in an object about a list."""

    arguments: tuple[str, ...]
    """Arguments with the number of items."""
    default: int
    """Used if none of them is given or has a default."""
    least: int = 0
    batch: str | None = None
    """An argument that has one element per item."""


def paged(*arguments: str, default: int = repo.DEFAULT_PAGE) -> dict[str, Any]:
    """`metadata` of a field with a page, whose size is given by these arguments."""
    return {"items": Items(arguments, default)}


def batch(argument: str) -> dict[str, Any]:
    """`metadata` of a field that returns an item for each element of this argument."""
    return {"items": Items((), 0, batch=argument)}


def frames(*arguments: str) -> dict[str, Any]:
    """`metadata` of a subscription to frames, whose first ones have as many items as these arguments say."""
    return {"items": Items(arguments, FRAME_ITEMS, FRAME_ITEMS)}


SHORT_LIST: dict[str, Any] = {"items": Items((), SHORT_LIST_ITEMS)}
"""`metadata` of a field with a list that is always short."""


@lru_cache(8)
def page_types(schema: GraphQLSchema) -> frozenset[str]:
    """The object types about a list: those that fields with declared items return. The lists in them have
    these items."""
    return frozenset(
        get_named_type(field.type).name
        for kind in schema.type_map.values()
        if isinstance(kind, GraphQLObjectType)
        for field in kind.fields.values()
        if "items" in field_metadata(field) and not _is_list(field.type)
    )


def check_items(schema: GraphQLSchema) -> None:
    """Raise TypeError for a field with a list of objects of unknown length."""
    pages = page_types(schema)
    for kind in schema.type_map.values():
        if not isinstance(kind, GraphQLObjectType) or kind.name in pages or kind.name.startswith("__"):
            continue
        for name, each in kind.fields.items():
            is_list = _is_list(each.type) and is_composite_type(get_named_type(each.type))
            if is_list and "items" not in field_metadata(each):
                raise TypeError(
                    f"{kind.name}.{name} returns a list of unknown length: add `paged`, `batch`, `frames` or "
                    "`SHORT_LIST` of graph.limits.cost to its metadata, or to that of the fields that return "
                    f"{kind.name}"
                )


Variables = Mapping[str, Any]
Size = Callable[[Variables], int]
"""The number of items of a field, by the variables as received."""


@dataclass(slots=True)
class _Sum:
    """A number, plus the results of steps, each multiplied by a count."""

    number: int = 0
    steps: dict[int, int] = field(default_factory=dict)

    def add(self, other: "_Sum", times: int = 1) -> None:
        self.number += other.number * times
        for step, count in other.steps.items():
            self.steps[step] = self.steps.get(step, 0) + count * times

    def of(self, values: list[int]) -> int:
        return self.number + sum(values[step] * count for step, count in self.steps.items())


@dataclass(frozen=True, slots=True)
class _Step:
    """A field whose number of items depends on variables."""

    name: str
    size: Size
    each: _Sum
    """The cost of one item."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The cost of a selection: once, and for each item of the list that its type is about."""

    once: _Sum = field(default_factory=_Sum)
    each: _Sum = field(default_factory=_Sum)


class Cost:
    """The cost of one operation of a valid document."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        largest_page: int,
    ) -> None:
        self.variable_lengths = VariableLengths(schema, operation)
        self._schema = schema
        self._page_types = page_types(schema)
        self._largest = largest_page
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self._defaults = {
            each.variable.name.value: value_from_ast_untyped(each.default_value)
            for each in operation.variable_definitions or ()
            if each.default_value is not None
        }
        self._measured: dict[str, _Part] = {}
        self._steps: list[_Step] = []
        self._widest = (0, "")
        """The largest number of items that does not depend on variables, and its field."""
        root = schema.get_root_type(operation.operation)
        self._sum = self._part(operation.selection_set, root).once
        # Only needed to compile the document.
        del self._fragments, self._measured, self._schema

    def of(self, variables: Variables | None) -> int:
        """The most objects that the operation may return with these variables."""
        if not self._steps:
            return self._sum.number
        variables = variables or {}
        values: list[int] = []
        for step in self._steps:
            values.append(step.size(variables) * step.each.of(values))
        return self._sum.of(values)

    def widest(self, variables: Variables | None) -> tuple[int, str]:
        """The largest number of items, and its field."""
        return max([(step.size(variables or {}), step.name) for step in self._steps] + [self._widest])

    def _part(self, selections: SelectionSetNode, parent: Any) -> _Part:
        part = _Part()
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                self._add_field(part, selection, parent)
                continue
            if isinstance(selection, FragmentSpreadNode):
                inner = self._part_of_fragment(selection.name.value)
            else:
                condition = selection.type_condition  # type: ignore[attr-defined]
                inner_parent = self._schema.get_type(condition.name.value) if condition else parent
                inner = self._part(selection.selection_set, inner_parent)  # type: ignore[attr-defined]
            part.once.add(inner.once)
            part.each.add(inner.each)
        return part

    def _part_of_fragment(self, name: str) -> _Part:
        """Computed once per fragment, however often it is spread."""
        if name not in self._measured:
            fragment = self._fragments[name]
            parent = self._schema.get_type(fragment.type_condition.name.value)
            self._measured[name] = self._part(fragment.selection_set, parent)
        return self._measured[name]

    def _add_field(self, part: _Part, node: FieldNode, parent: Any) -> None:
        name = node.name.value
        # Introspection reads nothing but the schema.
        if name.startswith("__"):
            return
        definition: GraphQLField = parent.fields[name]
        if node.selection_set is None:
            # Scalars cost nothing, but for lists of declared length.
            if (length := self._size(node, definition)) is not None:
                self._add_items(part.once, name, length, _Sum(1))
            return
        kind = get_named_type(definition.type)
        inner = self._part(node.selection_set, kind)
        size = self._size(node, definition)
        if _is_list(definition.type):
            if size is None and parent.name in self._page_types:
                # Its items are those of the field above, and counted there.
                part.each.add(inner.once)
                return
            inner.once.number += 1
            self._add_items(part.once, name, SHORT_LIST_ITEMS if size is None else size, inner.once)
            return
        part.once.number += 1
        part.once.add(inner.once)
        if size is not None:
            # The items of a page are read whether or not they are selected.
            inner.each.number += 1
            self._add_items(part.once, name, size, inner.each)

    def _add_items(self, total: _Sum, name: str, size: int | Size, each: _Sum) -> None:
        if isinstance(size, int):
            self._widest = max(self._widest, (size, name))
            total.add(each, size)
        else:
            self._steps.append(_Step(name, size, each))
            total.add(_Sum(0, {len(self._steps) - 1: 1}))

    def _size(self, node: FieldNode, definition: GraphQLField) -> int | Size | None:
        """The number of items of a field; None if it is not declared."""
        items: Items | None = field_metadata(definition).get("items")
        if items is None:
            return None
        arguments = {argument.name.value: argument.value for argument in node.arguments or ()}
        if items.batch is not None:
            length = self._read(arguments[items.batch], _length)
            return length if isinstance(arguments[items.batch], VariableNode) else length({})
        least = items.least
        defaults = [coerce_default_value(definition.args[name]) for name in items.arguments]
        default = next((each for each in defaults if isinstance(each, int)), items.default)
        default = max(least, min(default, self._largest))
        values = [arguments[name] for name in items.arguments if name in arguments]
        reads = [self._read(each, self._page) for each in values]

        def size(variables: Variables) -> int:
            sizes = [count for read in reads if (count := read(variables)) is not None]
            return max([least, *sizes]) if sizes else default

        return size if any(isinstance(each, VariableNode) for each in values) else size({})

    def _read(self, node: ValueNode, count: Callable[[Any], T]) -> Callable[[Variables], T]:
        """Applies `count` to the value, which may be a variable."""
        if isinstance(node, VariableNode):
            name = node.name.value
            default = self._defaults.get(name)
            return lambda variables: count(variables.get(name, default))
        counted = count(value_from_ast_untyped(node))
        return lambda _: counted

    def _page(self, value: Any) -> int | None:
        """The items of a page of this size; None for what execution will refuse."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return min(max(value, 0), self._largest) if type(value) is int else None


def _length(value: Any) -> int:
    """The length of a list argument: another value is coerced to a list of it."""
    return len(value) if isinstance(value, list) else int(value is not None)


def _is_list(kind: Any) -> bool:
    return is_list_type(get_nullable_type(kind))
