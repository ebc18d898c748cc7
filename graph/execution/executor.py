"""Owns how compiled selections take part in an execution: graphql-core's own, but for whole objects."""

from typing import Any

from graphql import ExecutionResult, GraphQLError, GraphQLObjectType
from graphql.execution.collect_fields import CollectedFields, FieldDetailsList, GroupedFieldSet
from graphql.pyutils import AwaitableOrValue, Path, gather_with_cancel
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.execution.completion import Selection, selection_of


class Variant:
    """What is the same in all executions of an operation that skip and include the same."""

    def __init__(self) -> None:
        self.root: GroupedFieldSet | None = None
        self.below: dict[tuple[GraphQLObjectType, int], tuple[FieldDetailsList, CollectedFields]] = {}
        self.selections: dict[tuple[GraphQLObjectType, int], tuple[GroupedFieldSet, Selection]] = {}


class CompiledExecutor(StrawberryGraphQLCoreExecutionContext):
    """One execution. Objects come as structs where their selection could be compiled."""

    def __init__(self, variant: Variant, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._variant = variant
        self._relevant_sub_fields = variant.below

    def execute_operation(self, serially: bool | None = None) -> Any:
        """As graphql-core does it, but for the fields at the root, which are known."""
        variant = self._variant
        if variant.root is None or self.abort_signal is not None:
            return super().execute_operation(serially)
        operation = self.operation.operation
        root_type = self.schema.get_root_type(operation)
        assert root_type is not None, "an operation that is valid has a type"
        if serially is None:
            serially = operation.value == "mutation"
        try:
            result = self.execute_collected_root_fields(
                root_type, self.root_value, variant.root, serially, ()
            )
        except GraphQLError as error:
            return self._failed(error)
        if self.is_awaitable(result):
            return self._await(result)
        return self.build_response(result)

    def execute_collected_root_fields(
        self, root_type: Any, root_value: Any, grouped: GroupedFieldSet, serially: bool, new: Any
    ) -> Any:
        """Takes note of the fields at the root."""
        self._variant.root = grouped
        return super().execute_collected_root_fields(root_type, root_value, grouped, serially, new)

    async def _await(self, result: Any) -> Any:
        try:
            return self.build_response(await result)
        except GraphQLError as error:
            return self._failed(error)

    def _failed(self, error: GraphQLError) -> ExecutionResult:
        self.collected_errors.add(error, None)
        result: Any = self.build_response(None)
        return result  # type: ignore[no-any-return]

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: Any,
    ) -> AwaitableOrValue[Any]:
        """The object as a struct; as a dict where anything about it is unusual."""
        selection = self._selection(parent_type, grouped_field_set)
        if selection.build is None:
            return super().execute_fields(
                parent_type, source_value, path, grouped_field_set, position_context
            )
        try:
            struct = selection.build(source_value)
        except Exception:
            # No resolver was called yet, so that graphql-core may begin at the beginning.
            return super().execute_fields(
                parent_type, source_value, path, grouped_field_set, position_context
            )
        if not selection.others:
            return struct
        return self._fill(struct, selection, parent_type, source_value, path)

    def _fill(
        self, struct: Any, selection: Selection, parent: GraphQLObjectType, source: Any, path: Path | None
    ) -> AwaitableOrValue[Any]:
        """The struct with the fields that resolvers give."""
        is_awaitable, awaited = self.is_awaitable, []
        try:
            for response_name, details, attribute in selection.others:
                field_path = Path(path, response_name, parent.name)
                result = self.execute_field(parent, source, details, field_path, None)
                if is_awaitable(result):
                    awaited.append((attribute, result))
                else:
                    setattr(struct, attribute, result)
        except Exception:
            if awaited:
                self.settle_in_background([result for _, result in awaited])
            raise
        return _when_done(struct, awaited) if awaited else struct

    def _selection(self, parent: GraphQLObjectType, grouped: GroupedFieldSet) -> Selection:
        # By identity: as long as the entry is there, so is what it was made for.
        key = (parent, id(grouped))
        found = self._variant.selections.get(key)
        if found is None:
            made = selection_of(self.schema, parent, grouped, self._collect)
            found = self._variant.selections[key] = (grouped, made)
        return found[1]

    def _collect(self, kind: GraphQLObjectType, details: FieldDetailsList) -> GroupedFieldSet:
        return self.collect_subfields(kind, details)[0]


async def _when_done(struct: Any, awaited: list[tuple[str, Any]]) -> Any:
    if len(awaited) == 1:
        attribute, result = awaited[0]
        setattr(struct, attribute, await result)
    else:
        results = await gather_with_cancel(*(result for _, result in awaited))
        for (attribute, _), result in zip(awaited, results, strict=True):
            setattr(struct, attribute, result)
    return struct
