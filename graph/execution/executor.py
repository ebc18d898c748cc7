"""Executes one operation: as graphql-core does, with compiled code for objects and resolver calls."""

from collections.abc import Awaitable, Sequence
from typing import Any

from graphql import (
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLList,
    GraphQLObjectType,
    GraphQLOutputType,
    get_named_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetails, FieldDetailsList, GroupedFieldSet, collect_fields
from graphql.execution.values import VariableValues, get_variable_values
from graphql.pyutils import AwaitableOrValue, Path, gather_with_cancel

from graph.execution.attributes import selected_attributes
from graph.execution.code_generation import UnexpectedValue
from graph.execution.completion import Complete
from graph.execution.operations import Variant
from graph.execution.resolver_calls import ListItemPath, ResolverCall, path_of, resolver_call
from graph.execution.row_completion import ResolvedField, RowCompletion
from graph.execution.selections import Selection, compile_completion, compile_selection
from graph.strawberry_internals import ExecutionContext, returns_event, with_executor
from repo import Rows


class CompiledExecutor(ExecutionContext):
    """One execution. Its data contains structs for objects whose selection could be compiled."""

    def __init__(
        self,
        variant: Variant,
        inputs: dict[str, Any] | None,
        variables: dict[str, Any] | None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """`inputs` are the variables as resolvers accept them, None if graphql-core coerced them; `variables`
        are those that the client sent."""
        self._variables = variables
        self._values: VariableValues | None = None
        super().__init__(*args, **kwargs)
        self._variant = variant
        self.share_collected_fields(variant.below)
        self.inputs = inputs
        self.arguments: dict[ResolverCall, dict[str, Any]] = {}

    @property
    def is_first(self) -> bool:
        """Whether it is the first of its operation, which collects fields and so needs `variable_values`."""
        return self._variant.root is None

    @property
    def variable_values(self) -> Any:
        """The variables as graphql-core coerces them."""
        if self._values is None:
            definitions = self.operation.variable_definitions or ()
            values = get_variable_values(self.schema, definitions, self._variables or {})
            assert isinstance(values, VariableValues), "compiled code accepts only valid variables"
            self._values = values
        return self._values

    @variable_values.setter
    def variable_values(self, values: VariableValues | None) -> None:
        self._values = values

    def build_resolve_info(self, *details: Any) -> Any:
        """graphql-core's `info`, with this executor as an attribute."""
        return with_executor(super().build_resolve_info(*details), self)

    def selected_attributes(
        self, kind: GraphQLOutputType, nodes: Sequence[FieldNode], name: str
    ) -> frozenset[str] | None:
        """The attributes read of objects of type `name` below a field of this type; None if it may be all."""
        cache = self._variant.attributes
        entry = cache.get((id(nodes[0]), name))
        if entry is None:
            details = [FieldDetails(node, None) for node in nodes]
            read = selected_attributes(self.schema, kind, details, self._collect, name)
            entry = cache[id(nodes[0]), name] = nodes[0], read
        return entry[1]

    def completion_of_events(self) -> tuple[str, Complete | None]:
        """The response name of a subscription's field, and what completes its events; None if something in
        them has to be resolved."""
        if self._variant.events is None:
            self._variant.events = self._completion_of_events()
        return self._variant.events

    def _completion_of_events(self) -> tuple[str, Complete | None]:
        root_type = self.schema.get_root_type(self.operation.operation)
        assert root_type is not None, "a valid operation has a type"
        values, operation = self.variable_values, self.operation
        fields = collect_fields(self.schema, self.fragments, values, root_type, operation, False)[0]
        if len(fields) != 1:
            return "", None
        ((name, details),) = fields.items()
        field = self.schema.get_field(root_type, details[0].node.name.value)
        if field is None or not returns_event(field):
            return name, None
        return name, compile_completion(self.schema, field.type, details, self._collect)

    def execute_operation(self, serially: bool | None = None) -> Any:
        """As graphql-core does, without collecting the root fields again."""
        variant = self._variant
        if variant.root is None or self.abort_signal is not None:
            return super().execute_operation(serially)
        operation = self.operation.operation
        root_type = self.schema.get_root_type(operation)
        assert root_type is not None, "a valid operation has a type"
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
        """As graphql-core does; keeps the root fields for the next execution."""
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
        """The object as a struct; as a dict if anything about it is unexpected."""
        selection = self._selection(parent_type, grouped_field_set)
        try:
            struct = selection.build(source_value)
        except Exception:
            # No resolver was called yet: graphql-core may start from scratch.
            return super().execute_fields(
                parent_type, source_value, path, grouped_field_set, position_context
            )
        if not selection.remaining:
            return struct
        return self._complete_struct(struct, selection, parent_type, source_value, path)

    def _complete_struct(
        self, struct: Any, selection: Selection, parent: GraphQLObjectType, source: Any, path: Path | None
    ) -> AwaitableOrValue[Any]:
        """The struct with its remaining fields resolved, or an awaitable of it."""
        is_awaitable, awaited = self.is_awaitable, []
        try:
            for response_name, details, attribute in selection.remaining:
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
        return _set_when_done(struct, awaited) if awaited else struct

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        """As graphql-core does, with compiled resolver calls and completion."""
        call = self._call(parent_type, field_details_list)
        if call is None or self.abort_signal is not None:
            return super().execute_field(parent_type, source, field_details_list, path, position_context)
        try:
            result = call.resolve(self, source, path)
            if self.is_awaitable(result):
                return self._complete_later(call, result, path)
            completed = self.complete(call, result, path)
            if self.is_awaitable(completed):
                return self._complete_later(call, completed, path, is_complete=True)
        except UnexpectedValue:
            return super().execute_field(parent_type, source, field_details_list, path, position_context)
        except Exception as error:
            self.handle_field_error(error, call.field.type, field_details_list, path)
            return None
        return completed

    async def _complete_later(
        self, call: ResolverCall, awaitable: Awaitable[Any], path: Path, is_complete: bool = False
    ) -> Any:
        try:
            completed = await awaitable
            if not is_complete:
                completed = self.complete(call, completed, path)
                if self.is_awaitable(completed):
                    completed = await completed
        except Exception as error:
            self.handle_field_error(error, call.field.type, call.details, path)
            return None
        return completed

    def complete(self, call: ResolverCall, result: Any, path: Path | ListItemPath) -> Any:
        """The completed result of a resolver, or an awaitable of it."""
        complete = self._completion(call)
        if complete is not None:
            try:
                return complete(result)
            except Exception:
                pass  # graphql-core reports the error
        field_path = path_of(path)
        info = self.build_resolve_info(call.field, call.nodes, call.parent, field_path)
        return self.complete_value(call.field.type, call.details, info, field_path, result, None)

    def complete_list_value(
        self,
        return_type: GraphQLList[GraphQLOutputType],
        field_details_list: FieldDetailsList,
        info: Any,
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Lists of objects whose resolved fields are plain: without a task for each."""
        parent = get_named_type(return_type)
        if isinstance(parent, GraphQLObjectType) and type(result) in (list, tuple, Rows):
            inner = return_type.of_type
            item = inner.of_type if is_non_null_type(inner) else inner
            selection = self._selection(parent, self._collect(parent, field_details_list))
            fields = self._resolved_fields(parent, selection) if item is parent else None
            if fields is not None and self.abort_signal is None:
                try:
                    objects = result.items if type(result) is Rows else result
                    structs = [selection.build(each) for each in objects]
                    for field in fields:
                        field.call.prepare(self)
                except Exception:
                    pass  # nothing was resolved yet
                else:
                    completion = RowCompletion(self, parent, inner, field_details_list, path, fields, structs)
                    return completion.run(objects)
        return super().complete_list_value(
            return_type, field_details_list, info, path, result, position_context
        )

    def _selection(self, parent: GraphQLObjectType, grouped: GroupedFieldSet) -> Selection:
        # By id: the entry keeps the object alive.
        key = (parent, id(grouped))
        entry = self._variant.selections.get(key)
        if entry is None:
            selection = compile_selection(self.schema, parent, grouped, self._collect)
            entry = self._variant.selections[key] = (grouped, selection)
        return entry[1]

    def _collect(self, kind: GraphQLObjectType, details: FieldDetailsList) -> GroupedFieldSet:
        return self.collect_subfields(kind, details)[0]

    def _call(self, parent: GraphQLObjectType, details: FieldDetailsList) -> ResolverCall | None:
        key = (parent, id(details))
        entry = self._variant.calls.get(key)
        if entry is None:
            entry = self._variant.calls[key] = details, resolver_call(self.schema, parent, details)
        return entry[1]

    def _completion(self, call: ResolverCall) -> Complete | None:
        cache = self._variant.completions
        if call not in cache:
            cache[call] = compile_completion(self.schema, call.field.type, call.details, self._collect)
        return cache[call]

    def _resolved_fields(self, parent: GraphQLObjectType, selection: Selection) -> list[ResolvedField] | None:
        """The fields to resolve for each object of a list; None if one of them cannot be compiled."""
        cache = self._variant.resolved_fields
        if selection not in cache:
            fields: list[ResolvedField] | None = []
            for response_name, details, attribute in selection.remaining:
                call = self._call(parent, details)
                complete = None if call is None else self._completion(call)
                if call is None or complete is None:
                    fields = None
                    break
                fields.append(ResolvedField(attribute, response_name, call, complete))  # type: ignore[union-attr]
            cache[selection] = fields
        return cache[selection]


async def _set_when_done(struct: Any, awaited: list[tuple[str, Any]]) -> Any:
    if len(awaited) == 1:
        attribute, result = awaited[0]
        setattr(struct, attribute, await result)
    else:
        results = await gather_with_cancel(*(result for _, result in awaited))
        for (attribute, _), result in zip(awaited, results, strict=True):
            setattr(struct, attribute, result)
    return struct
