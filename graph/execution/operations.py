"""Owns the operations that were executed before: parsed, validated and compiled once."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    get_operation_ast,
    visit,
)
from graphql.execution.collect_fields import FragmentDetails

from graph.execution.executor import Variant
from graph.execution.inputs import Variable
from graph.limits.cost import Cost

_MOST = 1000
"""Operations that are remembered."""
_MOST_TEXT = 256 * 1024
"""Characters that they have together. Each is nearly an object of its document, and Python looks at all of
them again and again for what may be thrown away: at so many for 0.15 s, in which nobody is served."""
_MOST_VARIANTS = 16
"""Combinations of what an operation skips and includes."""


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
        self.is_plain = directives.names <= {"skip", "include"}
        """Whether it has no directives that need more than a selection."""
        self.fragment_definitions = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self.is_plain = self.is_plain and not any(
            each.variable_definitions for each in self.fragment_definitions.values()
        )
        self.fragments = {
            name: FragmentDetails(each, None) for name, each in self.fragment_definitions.items()
        }
        self.field = self._root_field()
        """The one field of the root type that it selects, or `several`."""
        self.variables: list[Variable] | None = None
        """How each variable becomes what resolvers take, where all of them can be compiled."""
        self.cost: Cost | None = None
        """What it costs, where that is limited."""
        self._conditions = sorted(directives.variables)
        self._variants: OrderedDict[tuple[Any, ...], Variant] = OrderedDict()

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
        """What was compiled for these variables, coerced."""
        key = tuple(variables.get(name) for name in self._conditions)
        variant = self._variants.get(key)
        if variant is None:
            if len(self._variants) == _MOST_VARIANTS:
                self._variants.popitem(last=False)
            variant = self._variants[key] = Variant()
        return variant


class Operations:
    """Those that were asked for last, by text and name. What is not valid is none of them."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str | None], Operation] = OrderedDict()
        self._text = 0

    def __len__(self) -> int:
        return len(self._known)

    def get(self, query: str, name: str | None) -> Operation | None:
        """The operation, where it is remembered."""
        found = self._known.get((query, name))
        if found is not None:
            self._known.move_to_end((query, name))
        return found

    def add(self, query: str, name: str | None, document: DocumentNode) -> Operation | None:
        """Remember an operation of a document that is valid; None where it holds none of that name."""
        node = get_operation_ast(document, name)
        if node is None:
            return None
        operation = Operation(document, node)
        self._known[query, name] = operation
        self._text += len(query)
        while len(self._known) > _MOST or (self._text > _MOST_TEXT and len(self._known) > 1):
            (forgotten, _), _ = self._known.popitem(last=False)
            self._text -= len(forgotten)
        return operation


class _Directives(Visitor):
    """Finds which directives a document uses, and the variables that their conditions are."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.variables: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        self.names.add(node.name.value)
        self.variables.update(_variables(node))


def _variables(node: DirectiveNode) -> Iterable[str]:
    values = (argument.value for argument in node.arguments or ())
    return [value.name.value for value in values if isinstance(value, VariableNode)]
