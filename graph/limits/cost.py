"""Owns what an operation costs: how many objects it may come to, before any of them is read.

A list multiplies what is selected in it by its page. What `@skip` leaves out counts too, so the real number
is never higher, but for lists that have no page: those are taken to be short.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_list_type,
    is_non_null_type,
    value_from_ast_untyped,
)
from graphql.utilities.coerce_input_value import coerce_default_value

import repo
from graph.limits.variables import Given

T = TypeVar("T")

_PAGED_BY = ("first", "last", "buckets")
"""Arguments that say how many items a field has."""
_SHORT = 5
"""Items of a list that is no connection, unless it is asked for more: labels, phases, logs, attempts."""
_FRAME = 500
"""Items that a frame of a subscription has at the most, but for the first ones that a client asks for."""

Variables = Mapping[str, Any]
Size = Callable[[Variables], int]
"""How many items a field has, by the variables as they came."""


@dataclass(slots=True)
class _Sum:
    """A number, and how often what each step came to is added to it."""

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
    """A field whose page is a variable."""

    name: str
    size: Size
    each: _Sum
    """What an item of it comes to."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What a selection comes to: once, and for each item of the list that its type is about."""

    once: _Sum = field(default_factory=_Sum)
    each: _Sum = field(default_factory=_Sum)


class Cost:
    """What one operation of a valid document costs."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        largest_page: int,
    ) -> None:
        self.given = Given(schema, operation)
        """How long the lists in its variables are."""
        self._schema = schema
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
        """The largest page that is no variable, and whose it is."""
        root = schema.get_root_type(operation.operation)
        self._sum = self._part(operation.selection_set, root).once
        # What the document says is compiled; only the variables are looked at from here on.
        del self._fragments, self._measured, self._schema

    def of(self, variables: Variables | None) -> int:
        """How many objects the operation may come to with these variables."""
        if not self._steps:
            return self._sum.number
        given = variables or {}
        values: list[int] = []
        for step in self._steps:
            values.append(step.size(given) * step.each.of(values))
        return self._sum.of(values)

    def widest(self, variables: Variables | None) -> tuple[int, str]:
        """The largest page in it, and the field that has it."""
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
        """Each fragment is measured once, however often it is spread."""
        if name not in self._measured:
            fragment = self._fragments[name]
            parent = self._schema.get_type(fragment.type_condition.name.value)
            self._measured[name] = self._part(fragment.selection_set, parent)
        return self._measured[name]

    def _add_field(self, part: _Part, node: FieldNode, parent: Any) -> None:
        name = node.name.value
        # Introspection reads nothing but the schema.
        if name.startswith("__") or node.selection_set is None:
            return
        definition: GraphQLField = parent.fields[name]
        kind = get_named_type(definition.type)
        inner = self._part(node.selection_set, kind)
        size = self._size(node, definition)
        if _is_list(definition.type):
            if size is None and _is_about_a_list(parent):
                # Its items are those of the field above, and counted there.
                part.each.add(inner.once)
                return
            inner.once.number += 1
            self._add_items(part.once, name, _SHORT if size is None else size, inner.once)
            return
        part.once.number += 1
        part.once.add(inner.once)
        if _is_about_a_list(kind) and size is not None:
            # What is on a page is read whether or not it is selected.
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
        """How many items the field has; None where nothing says so."""
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        for name, argument in definition.args.items():
            if name in given and is_list_type(_nullable(argument.type)):
                length = self._read(given[name], _length)
                return length if isinstance(given[name], VariableNode) else length({})
        least = _FRAME if get_named_type(definition.type).name.endswith("Frame") else 0
        names = [name for name in _PAGED_BY if name in definition.args]
        if not names:
            return least or None
        defaults = [coerce_default_value(definition.args[name]) for name in names]
        usual = _SHORT if _is_list(definition.type) else repo.DEFAULT_PAGE
        default = next((each for each in defaults if isinstance(each, int)), usual)
        otherwise = max(least, min(default, self._largest))
        asked_by = [given[name] for name in names if name in given]
        reads = [self._read(each, self._page) for each in asked_by]

        def size(variables: Variables) -> int:
            asked = [count for read in reads if (count := read(variables)) is not None]
            return max([least, *asked]) if asked else otherwise

        return size if any(isinstance(each, VariableNode) for each in asked_by) else size({})

    def _read(self, node: ValueNode, count: Callable[[Any], T]) -> Callable[[Variables], T]:
        """What `count` makes of the value, which may be a variable."""
        if isinstance(node, VariableNode):
            name = node.name.value
            default = self._defaults.get(name)
            return lambda variables: count(variables.get(name, default))
        counted = count(value_from_ast_untyped(node))
        return lambda _: counted

    def _page(self, value: Any) -> int | None:
        """How many items a page of this size has. What is no size the execution refuses."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return min(max(value, 0), self._largest) if type(value) is int else None


def _length(value: Any) -> int:
    """How many items are given: one that is no list counts as a list of it."""
    return len(value) if isinstance(value, list) else int(value is not None)


def _is_about_a_list(kind: Any) -> bool:
    """Whether the lists within a type have as many items as the field has that gives it."""
    name: str = kind.name
    return name.endswith(("Connection", "Frame", "Payload"))


def _nullable(kind: Any) -> Any:
    return kind.of_type if is_non_null_type(kind) else kind


def _is_list(kind: Any) -> bool:
    return is_list_type(_nullable(kind))
