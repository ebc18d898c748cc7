"""Caches operations: each is parsed, validated and compiled once."""

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    get_operation_ast,
    visit,
)
from graphql.execution.collect_fields import (
    CollectedFields,
    FieldDetailsList,
    FragmentDetails,
    GroupedFieldSet,
)

from graph.execution.completion import Complete
from graph.execution.inputs import Variable
from graph.execution.resolver_calls import ResolverCall
from graph.execution.row_completion import ResolvedField
from graph.execution.selections import Selection
from graph.limits.cost import Cost
from graph.strawberry_internals import field_metadata

CURSOR = "cursor"
"""The metadata of a subscription that can be resumed: the argument with the cursor."""

MAX_OPERATIONS = 1000
MAX_CHARACTERS = 256 * 1024
"""Total length of the cached documents. A character costs nearly one object, and a full garbage collection of
the objects of so many characters stops the event loop for 0.15 s."""
MAX_VARIANTS = 16
"""Cached combinations of `@skip` and `@include` per operation."""


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """An operation that a client requests."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None
    is_large: bool = False
    """Whether its variables are so large that they are coerced in a thread."""


class Variant:
    """What is compiled of an operation for one combination of its `@skip` and `@include`. Keys contain ids of
    lists, which the values keep alive."""

    def __init__(self) -> None:
        self.root: GroupedFieldSet | None = None
        self.events: tuple[str, Complete | None] | None = None
        self.below: dict[tuple[GraphQLObjectType, int], tuple[FieldDetailsList, CollectedFields]] = {}
        self.selections: dict[tuple[GraphQLObjectType, int], tuple[GroupedFieldSet, Selection]] = {}
        self.calls: dict[tuple[GraphQLObjectType, int], tuple[FieldDetailsList, ResolverCall | None]] = {}
        self.completions: dict[ResolverCall, Complete | None] = {}
        self.resolved_fields: dict[Selection, list[ResolvedField] | None] = {}
        self.attributes: dict[tuple[int, str], tuple[Any, frozenset[str] | None]] = {}


class Operation:
    """A valid operation."""

    def __init__(self, document: DocumentNode, node: OperationDefinitionNode) -> None:
        directives = _Directives()
        visit(document, directives)
        self.document = document
        self.node = node
        self.type = node.operation.value
        """`query`, `mutation` or `subscription`."""
        self.name = None if node.name is None else node.name.value
        self.fragment_definitions = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self.is_plain = directives.names <= {"skip", "include"} and not any(
            each.variable_definitions for each in self.fragment_definitions.values()
        )
        """Whether it has no directives but `@skip` and `@include`, and no fragment variables."""
        self.fragments = {
            name: FragmentDetails(each, None) for name, each in self.fragment_definitions.items()
        }
        self.field = self._root_field()
        """The only root field that it selects, or `several`."""
        self.variables: list[Variable] | None = None
        """How to coerce each variable; None if not all of them can be compiled."""
        self.cursor_variable: str | None = None
        """See `cursor_variable`."""
        self.cost: Cost | None = None
        """None if cost is not limited."""
        self._conditions = sorted(directives.variables)
        self.variants: OrderedDict[tuple[Any, ...], Variant] = OrderedDict()
        """By the values of the variables in `@skip` and `@include`, the least recently made first."""

    def _root_field(self) -> str:
        fields: set[str] = set()
        spread: set[str] = set()
        pending = [*self.node.selection_set.selections]
        while pending:
            match pending.pop():
                case FieldNode(name=name):
                    fields.add(name.value)
                case InlineFragmentNode(selection_set=inner):
                    pending += inner.selections
                case FragmentSpreadNode(name=name) if name.value not in spread:
                    spread.add(name.value)
                    pending += self.fragment_definitions[name.value].selection_set.selections
        return fields.pop() if len(fields) == 1 else "several"

    def variant(self, variables: dict[str, Any]) -> Variant:
        """What is compiled for these coerced variables."""
        key = tuple(variables.get(name) for name in self._conditions)
        variant = self.variants.get(key)
        if variant is None:
            if len(self.variants) == MAX_VARIANTS:
                self.variants.popitem(last=False)
            variant = self.variants[key] = Variant()
        return variant


def cursor_variable(schema: GraphQLSchema, query: str, operation: OperationDefinitionNode) -> str | None:
    """The variable that is used as the cursor to resume after, and nowhere else. Once a subscription has sent
    what was missed, its value makes no difference."""
    root: Any = schema.get_root_type(operation.operation)
    for field in operation.selection_set.selections:
        if not isinstance(field, FieldNode):
            continue
        cursor = field_metadata(schema.get_field(root, field.name.value)).get(CURSOR)
        for argument in field.arguments or ():
            if argument.name.value == cursor and isinstance(argument.value, VariableNode):
                name = argument.value.name.value
                # Declared once and used once.
                if len(re.findall(rf"\${name}\b", query)) == 2:
                    return name
    return None


class Operations:
    """The most recently used valid operations, by text and name."""

    def __init__(self) -> None:
        self._cache: OrderedDict[tuple[str, str | None], Operation] = OrderedDict()
        self._characters = 0

    def __len__(self) -> int:
        return len(self._cache)

    def get(self, query: str, name: str | None) -> Operation | None:
        """The operation if it is cached."""
        operation = self._cache.get((query, name))
        if operation is not None:
            self._cache.move_to_end((query, name))
        return operation

    def add(self, query: str, name: str | None, document: DocumentNode) -> Operation | None:
        """Cache an operation of a valid document; None if the document has none of that name."""
        node = get_operation_ast(document, name)
        if node is None:
            return None
        operation = Operation(document, node)
        self._cache[query, name] = operation
        self._characters += len(query)
        while len(self._cache) > MAX_OPERATIONS or (
            self._characters > MAX_CHARACTERS and len(self._cache) > 1
        ):
            (evicted, _), _ = self._cache.popitem(last=False)
            self._characters -= len(evicted)
        return operation


class _Directives(Visitor):
    """Finds the directives of a document, and the variables in their conditions."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.variables: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        self.names.add(node.name.value)
        values = [argument.value for argument in node.arguments or ()]
        self.variables.update(each.name.value for each in values if isinstance(each, VariableNode))
