"""Limits documents and operations: their size, their cost, and the text in them."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
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
from graph.item_errors import find_unstorable, path_extensions, path_text
from graph.limits.cost import Cost
from graph.limits.variables import SHORT_BYTES
from graph.strawberry_internals import core_schema, requested_operation

MAX_QUERY_LENGTH = 64 * 1024
"""Characters of a document, the same as the bytes of a WebSocket message: each of its errors is located line
by line."""

_MAX_REPORTED_COST = 10**12
"""Costs above this are not reported exactly."""

_MAX_COMPARISONS = 10_000
"""graphql-core's budget for merging fields of the same name, two per pair of fields. A document without
repeated fields uses none of it; at worst the comparisons grow with the square of its length."""

_MAX_ERRORS = 10
"""Errors reported per document: producing one takes time."""

_MAX_INVALID_DOCUMENTS = 8
"""Invalid documents that are kept until Strawberry reports their errors."""

_INTROSPECTION_ALIASES = 20
"""Aliases that an alias of an introspection field counts as: it repeats the whole schema."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The maximum size of an operation."""

    depth: int
    aliases: int
    tokens: int
    cost: int
    """The most objects that it may return, see `graph.limits.cost`."""
    page: int
    """The most items in a page."""
    introspection: bool = True
    """Whether introspection is allowed."""


@dataclass(frozen=True, slots=True)
class _Size:
    depth: int
    aliases: int


class InvalidDocuments:
    """The errors of documents just found to be invalid: they are not validated again when Strawberry reports
    them."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[DocumentNode, list[GraphQLError]]] = OrderedDict()

    def __contains__(self, query: object) -> bool:
        return query in self._known

    def note(self, query: str, document: DocumentNode, errors: list[GraphQLError]) -> None:
        """Keep the errors of an invalid document."""
        self._known[query] = document, errors
        if len(self._known) > _MAX_INVALID_DOCUMENTS:
            self._known.popitem(last=False)

    def take(self, query: str | None) -> tuple[DocumentNode | None, list[GraphQLError] | None]:
        """The document and its errors, if they are kept; removes them."""
        return (None, None) if query is None else self._known.pop(query, (None, None))


class OperationLimits(SchemaExtension):
    """Refuses documents over the limits, and text that databases cannot store."""

    def __init__(self, limits: Limits, refused: InvalidDocuments | None = None) -> None:
        self.refused = refused or InvalidDocuments()
        self._errors: list[GraphQLError] | None = None
        self.tokens = limits.tokens
        """The maximum length of a document."""
        hiding = () if limits.introspection else (NoSchemaIntrospectionCustomRule,)
        kept = (rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule)
        # First, since it stops the other rules.
        self.rules = (_rule(limits), *kept, _MergingRule, *hiding)
        """The validation rules."""
        self._limits = limits

    def cost(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> Cost:
        """The cost of an operation of a valid document."""
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
        document, name = context.graphql_document, requested_operation(context)
        assert document is not None
        operation = get_operation_ast(document, name)
        cost = None if operation is None else self.cost(core_schema(context.schema), document, operation)
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
        """The reason not to execute an operation of a valid document; None if there is none."""
        if operation_name is None and len(document.definitions) > 1:
            operations = sum(isinstance(each, OperationDefinitionNode) for each in document.definitions)
            if operations > 1:
                return GraphQLError(
                    f"The document has {operations} operations; set `operationName`.",
                    extensions={"code": "OPERATION_RESOLUTION_FAILURE"},
                )
        if cost is not None and (objects := cost.of(variables)) > self._limits.cost:
            size, name = cost.widest(variables)
            most = f"more than {_MAX_REPORTED_COST:,}" if objects >= _MAX_REPORTED_COST else f"{objects:,}"
            return GraphQLError(
                f"The operation may return {most} objects; {self._limits.cost:,} are allowed. "
                f"Request smaller pages: `{name}` has {size:,} items.",
                extensions={"code": "BAD_USER_INPUT"},
            )
        if not variables:
            return None
        text = _dumped(variables)
        if cost is not None and (text is None or len(text) > SHORT_BYTES):
            length, name = cost.variable_lengths.longest(variables)
            if length > repo.MAX_BATCH:
                most = f"{repo.MAX_BATCH:,} are allowed: use several calls"
                return GraphQLError(
                    f"Variable '${name}' has {length:,} items in one list or object; {most}.",
                    extensions={"code": "BAD_USER_INPUT"},
                )
        if text is not None and b"\\u0000" not in text:
            return None
        by_item: frozenset[str] = frozenset()
        if cost is not None:
            cost.variable_lengths.replace_in_texts(variables)
            by_item = cost.variable_lengths.checked_by_item
        for name, value in variables.items():
            if name not in by_item and (found := find_unstorable(value)) is not None:
                path = found.path
                where = f" at {path_text(path)}" if path else ""
                return GraphQLError(
                    f"Variable '${name}' holds {found.reason}{where}.",
                    extensions={"code": "BAD_USER_INPUT", **path_extensions((name, *path))},
                )
        return None


class _MergingRule(OverlappingFieldsCanBeMergedRule):
    """Checks with a limited budget whether fields of the same name can be merged."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = _MAX_COMPARISONS

    def enter_selection_set(self, *arguments: Any) -> None:
        try:
            super().enter_selection_set(*arguments)
        except ValidationAbortedError:
            text = "The document repeats fields of the same name too often: remove the repetitions."
            raise ValidationAbortedError(text) from None


@lru_cache(8)
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
            self._error_count = 0
            self._report = context.on_error
            context.on_error = self._count  # type: ignore[method-assign]

        def _count(self, error: GraphQLError) -> None:
            self._report(error)
            self._error_count += 1
            if self._error_count == _MAX_ERRORS:
                raise ValidationAbortedError("There may be more errors.")

        def enter_document(self, node: DocumentNode, *_: Any) -> None:
            for definition in node.definitions:
                if isinstance(definition, OperationDefinitionNode):
                    self._check(definition)

        def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
            if (found := find_unstorable(node.value)) is not None:
                self.report_error(GraphQLError(f"The text holds {found.reason}.", node))

        def _check(self, operation: ExecutableDefinitionNode) -> None:
            size = self._size(operation.selection_set)
            # Stops the validation: all other rules would take longer.
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
                        * (_INTROSPECTION_ALIASES if is_introspection else 1),
                    )
                depth = max(depth, inner.depth)
                aliases += inner.aliases
            return _Size(depth, aliases)

        def _size_of_fragment(self, name: str) -> _Size:
            """Measured once per fragment, however often it is spread; a cycle, which another rule refuses,
            counts as nothing."""
            if name not in self._sizes:
                self._sizes[name] = _Size(0, 0)
                fragment = self._fragments.get(name)
                if fragment is not None:
                    self._sizes[name] = self._size(fragment.selection_set)
            return self._sizes[name]

    return DocumentLimits


def _dumped(value: object) -> bytes | None:
    """The value as JSON; None if it cannot be encoded."""
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError):  # half of a surrogate pair, or an inexact number
        return None
