"""Owns what is executed at all: one operation, how large it may be, and which text it may hold."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    ExecutableDefinitionNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    SelectionSetNode,
    StringValueNode,
    ValidationContext,
    ValidationRule,
    get_operation_ast,
    specified_rules,
)
from graphql.validation.validate import ValidationAbortedError
from strawberry.extensions import SchemaExtension

import repo
from graph.limits.cost import Cost
from graph.limits.variables import SHORT
from graph.schema.item_errors import extensions_of, find_unstorable, text_of

MAX_QUERY_LENGTH = 64 * 1024
"""Characters of a document, the same as the bytes of a WebSocket message: each of its errors is located line
by line."""

_COUNTLESS = 10**12
"""Objects beyond which it does not matter how many they are."""

_MOST_COMPARISONS = 10_000
"""What may be spent on whether fields of the same name can be merged, in the measure of graphql-core: two for
each pair. A document that repeats nothing spends nothing; at worst it is the square of its length."""

_MOST_MISTAKES = 10
"""Mistakes in a document that are told: each of them takes its time to say."""

_MOST_REFUSED = 8
"""Documents of which is remembered what is wrong with them, until it is said."""

_INTROSPECTION = 20
"""Aliases that one of introspection counts as: what it brings once more is the whole schema."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operation may be at the most."""

    depth: int
    aliases: int
    tokens: int
    cost: int
    """Objects that an operation may come to."""
    page: int
    """The most items that a page may have."""
    introspection: bool = True
    """Whether a document may ask for the schema."""


@dataclass(frozen=True, slots=True)
class _Size:
    depth: int
    aliases: int


class Refused:
    """What is wrong with documents that were just refused: who finds that out need not do so again when
    Strawberry has to say it."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[DocumentNode, list[GraphQLError]]] = OrderedDict()

    def __contains__(self, query: object) -> bool:
        return query in self._known

    def note(self, query: str, document: DocumentNode, errors: list[GraphQLError]) -> None:
        """It is not valid."""
        self._known[query] = document, errors
        if len(self._known) > _MOST_REFUSED:
            self._known.popitem(last=False)

    def take(self, query: str | None) -> tuple[DocumentNode | None, list[GraphQLError] | None]:
        """The document and why it is not valid, where that is known; it is then forgotten."""
        return (None, None) if query is None else self._known.pop(query, (None, None))


class OperationLimits(SchemaExtension):
    """Refuses documents over the limits, and text that no database can store."""

    def __init__(self, limits: Limits, refused: Refused | None = None) -> None:
        self.refused = refused or Refused()
        self._errors: list[GraphQLError] | None = None
        self.tokens = limits.tokens
        """How long a document may be."""
        hiding = () if limits.introspection else (NoSchemaIntrospectionCustomRule,)
        kept = (rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule)
        # The first one, for it ends the others once it has heard enough.
        self.rules = (_rule(limits), *kept, _MergingRule, *hiding)
        """What it is validated by."""
        self._limits = limits

    def cost(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> Cost:
        """What an operation of a valid document costs."""
        return Cost(schema, document, operation, self._limits.page)

    def on_operation(self) -> Iterator[None]:
        context = self.execution_context
        context.parse_options["max_tokens"] = self.tokens
        context.validation_rules = self.rules
        context.graphql_document, self._errors = self.refused.take(context.query)
        yield

    def on_validate(self) -> Iterator[None]:
        self.execution_context.pre_execution_errors = self._errors
        yield

    def on_execute(self) -> Iterator[None]:
        context = self.execution_context
        document, name = context.graphql_document, context._provided_operation_name
        assert document is not None
        operation = get_operation_ast(document, name)
        cost = None if operation is None else self.cost(context.schema._schema, document, operation)
        if (error := self.refusal(document, name, context.variables, cost)) is not None:
            raise error  # a result instead would be heeded for queries, and not for subscriptions
        yield

    def refusal(
        self,
        document: DocumentNode,
        operation_name: str | None,
        variables: Mapping[str, Any] | None,
        cost: Cost | None,
    ) -> GraphQLError | None:
        """Why a valid document is not executed, where it is not. The operation costs `cost`."""
        if operation_name is None and len(document.definitions) > 1:
            operations = sum(isinstance(each, OperationDefinitionNode) for each in document.definitions)
            if operations > 1:
                return GraphQLError(
                    f"The document holds {operations} operations; name the one that is meant.",
                    extensions={"code": "OPERATION_RESOLUTION_FAILURE"},
                )
        if cost is not None and (objects := cost.of(variables)) > self._limits.cost:
            size, name = cost.widest(variables)
            return GraphQLError(
                f"The operation may come to {_number(objects)} objects; {self._limits.cost:,} are allowed. "
                f"Ask for smaller pages: `{name}` has {size:,} items.",
                extensions={"code": "BAD_USER_INPUT"},
            )
        if not variables:
            return None
        text = _dumped(variables)
        if cost is not None and (text is None or len(text) > SHORT):
            length, name = cost.given.longest(variables)
            if length > repo.MAX_BATCH:
                most = f"{repo.MAX_BATCH:,} are allowed"
                return GraphQLError(
                    f"Variable '${name}' holds {length:,} items at one place; {most}.",
                    extensions={"code": "BAD_USER_INPUT"},
                )
        if text is not None and b"\\u0000" not in text:
            return None
        for name, value in variables.items():
            if (found := find_unstorable(value)) is not None:
                place = found.place
                where = f" at {text_of(place)}" if place else ""
                return GraphQLError(
                    f"Variable '${name}' holds {found.what}{where}.",
                    extensions={"code": "BAD_USER_INPUT", **extensions_of((name, *place))},
                )
        return None


def _number(objects: int) -> str:
    return f"{objects:,}" if objects < _COUNTLESS else f"more than {_COUNTLESS:,}"


class _MergingRule(OverlappingFieldsCanBeMergedRule):
    """Whether fields of the same name can be merged, asked for as long as it takes and no longer."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = _MOST_COMPARISONS

    def enter_selection_set(self, *given: Any) -> None:
        try:
            super().enter_selection_set(*given)
        except ValidationAbortedError:
            text = "The document repeats fields of the same names too often: ask for each of them once."
            raise ValidationAbortedError(text) from None


def _rule(limits: Limits) -> type[ValidationRule]:
    class DocumentLimits(ValidationRule):
        def __init__(self, context: ValidationContext) -> None:
            super().__init__(context)
            self._fragments = {
                definition.name.value: definition
                for definition in context.document.definitions
                if isinstance(definition, FragmentDefinitionNode)
            }
            self._sizes: dict[str, _Size] = {}
            self._mistakes = 0
            self._report = context.on_error
            context.on_error = self._count  # type: ignore[method-assign]

        def _count(self, error: GraphQLError) -> None:
            self._report(error)
            self._mistakes += 1
            if self._mistakes == _MOST_MISTAKES:
                raise ValidationAbortedError("There may be more mistakes.")

        def enter_document(self, node: DocumentNode, *_: Any) -> None:
            for definition in node.definitions:
                if isinstance(definition, OperationDefinitionNode):
                    self._check(definition)

        def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
            if (found := find_unstorable(node.value)) is not None:
                self.report_error(GraphQLError(f"The text holds {found.what}.", node))

        def _check(self, operation: ExecutableDefinitionNode) -> None:
            size = self._size(operation.selection_set)
            # Nothing else is looked at then: all other rules would take longer.
            if size.depth > limits.depth:
                text = f"The operation nests {size.depth} levels deep; {limits.depth} are allowed."
                raise ValidationAbortedError(text, operation)
            if size.aliases > limits.aliases:
                text = f"The operation has {size.aliases} aliases; {limits.aliases} are allowed."
                raise ValidationAbortedError(text, operation)

        def _size(self, selections: SelectionSetNode) -> _Size:
            depth = aliases = 0
            for selection in selections.selections:
                inner = _Size(0, 0)
                if isinstance(selection, FragmentSpreadNode):
                    inner = self._size_of_fragment(selection.name.value)
                elif selection.selection_set is not None:  # type: ignore[attr-defined]
                    inner = self._size(selection.selection_set)  # type: ignore[attr-defined]
                if isinstance(selection, FieldNode):
                    # Introspection nests deep by nature and reads nothing but the schema.
                    is_introspection = selection.name.value in ("__schema", "__type")
                    inner = _Size(
                        1 if is_introspection else inner.depth + 1,
                        (inner.aliases + (selection.alias is not None))
                        * (_INTROSPECTION if is_introspection else 1),
                    )
                depth = max(depth, inner.depth)
                aliases += inner.aliases
            return _Size(depth, aliases)

        def _size_of_fragment(self, name: str) -> _Size:
            """Each fragment is measured once, however often it is spread; a cycle counts as nothing,
            since another rule refuses it."""
            if name not in self._sizes:
                self._sizes[name] = _Size(0, 0)
                fragment = self._fragments.get(name)
                if fragment is not None:
                    self._sizes[name] = self._size(fragment.selection_set)
            return self._sizes[name]

    return DocumentLimits


def _dumped(value: object) -> bytes | None:
    """The value as JSON; None where that cannot be made in the least time."""
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):  # half of a surrogate pair, or a number of more than 64 bits
        return None
