"""Measures the lists and objects in variables before they are coerced."""

from collections.abc import Mapping
from typing import Any

from graphql import (
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    get_nullable_type,
    is_input_object_type,
    is_list_type,
    type_from_ast,
)

import repo
from graph.limits.texts import replace_in_texts

SHORT_BYTES = 2 * repo.MAX_BATCH
"""Size of JSON in which no list can be too long: an item takes at least two bytes."""


_CHECKED_BY_ITEM = frozenset({"ReportInput", "AppendLogInput", "LogLineInput", "StoreArtifactInput"})
"""Types whose texts the mutation checks: reports have errors of their own, lines are replaced, and artifacts
are bytes."""


class VariableLengths:
    """Measures the variables of an operation that are lists or input objects; JSON scalars are neither."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self._inner: dict[str, dict[str, Any]] = {}
        kinds = (
            (each.variable.name.value, type_from_ast(schema, each.type))
            for each in operation.variable_definitions or ()
        )
        self._kinds = {name: kind for name, kind in kinds if _has_length(kind)}
        self.checked_by_item = frozenset(
            name for name, kind in self._kinds.items() if str(get_named_type(kind)) in _CHECKED_BY_ITEM
        )
        """The variables whose texts the mutation checks itself."""

    def replace_in_texts(self, variables: Mapping[str, Any]) -> None:
        """Replace U+0000 in all texts that may have it."""
        for name, kind in self._kinds.items():
            replace_in_texts(kind, variables.get(name))

    def longest(self, variables: Mapping[str, Any]) -> tuple[int, str]:
        """The length of the longest list or object, and its variable."""
        kinds = [(name, kind) for name, kind in self._kinds.items() if name in variables]
        lengths = [(self._longest(kind, variables[name]), name) for name, kind in kinds]
        return max(lengths, default=(0, ""))

    def _longest(self, kind: Any, value: Any) -> int:
        kind = get_nullable_type(kind)
        if is_list_type(kind):
            if not isinstance(value, list):
                return self._longest(kind.of_type, value)
            if len(value) > repo.MAX_BATCH or not _has_length(kind.of_type):
                return len(value)
            return max([len(value), *(self._longest(kind.of_type, each) for each in value)])
        if not is_input_object_type(kind) or not isinstance(value, dict):
            return 0
        if len(value) > repo.MAX_BATCH:
            return len(value)
        inner = self._fields(kind)
        return max((self._longest(inner[name], value[name]) for name in inner if name in value), default=0)

    def _fields(self, kind: Any) -> dict[str, Any]:
        """The fields of an input type that are lists or objects, by name."""
        name: str = kind.name
        if name not in self._inner:
            fields = kind.fields.items()
            self._inner[name] = {key: each.type for key, each in fields if _has_length(each.type)}
        return self._inner[name]


def _has_length(kind: Any) -> bool:
    kind = get_nullable_type(kind)
    return is_list_type(kind) or is_input_object_type(kind)
