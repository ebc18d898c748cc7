"""Owns how long lists and objects in variables may be, before anything is made of them."""

from collections.abc import Mapping
from typing import Any

from graphql import (
    GraphQLSchema,
    OperationDefinitionNode,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    type_from_ast,
)

import repo

SHORT = 2 * repo.MAX_BATCH
"""Bytes of JSON in which no list can be too long: an item takes two at least."""


class Given:
    """The variables of an operation whose types are lists or objects; what is JSON to us is none of them."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self._inner: dict[str, dict[str, Any]] = {}
        kinds = (
            (each.variable.name.value, type_from_ast(schema, each.type))
            for each in operation.variable_definitions or ()
        )
        self._kinds = {name: kind for name, kind in kinds if _holds_something(kind)}

    def longest(self, variables: Mapping[str, Any]) -> tuple[int, str]:
        """How many items the longest list or object has, and in which variable it is."""
        kinds = [(name, kind) for name, kind in self._kinds.items() if name in variables]
        found = [(self._longest(kind, variables[name]), name) for name, kind in kinds]
        return max(found, default=(0, ""))

    def _longest(self, kind: Any, value: Any) -> int:
        kind = _nullable(kind)
        if is_list_type(kind):
            if not isinstance(value, list):
                return self._longest(kind.of_type, value)
            if len(value) > repo.MAX_BATCH or not _holds_something(kind.of_type):
                return len(value)
            return max([len(value), *(self._longest(kind.of_type, each) for each in value)])
        if not is_input_object_type(kind) or not isinstance(value, dict):
            return 0
        if len(value) > repo.MAX_BATCH:
            return len(value)
        inner = self._fields(kind)
        return max((self._longest(inner[name], value[name]) for name in inner if name in value), default=0)

    def _fields(self, kind: Any) -> dict[str, Any]:
        """The fields of an input type that are lists or objects, with their types."""
        name: str = kind.name
        if name not in self._inner:
            fields = kind.fields.items()
            self._inner[name] = {key: each.type for key, each in fields if _holds_something(each.type)}
        return self._inner[name]


def _holds_something(kind: Any) -> bool:
    kind = _nullable(kind)
    return is_list_type(kind) or is_input_object_type(kind)


def _nullable(kind: Any) -> Any:
    return kind.of_type if is_non_null_type(kind) else kind
