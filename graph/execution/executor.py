"""Owns how compiled code takes part in an execution: graphql-core's own, but for whole objects and calls."""

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
from graphql.execution.collect_fields import (
    CollectedFields,
    FieldDetails,
    FieldDetailsList,
    GroupedFieldSet,
    collect_fields,
)
from graphql.execution.values import VariableValues, get_variable_values
from graphql.pyutils import AwaitableOrValue, Path, gather_with_cancel
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.execution.code_generation import Surprise
from graph.execution.completion import Complete
from graph.execution.resolver_calls import Call, call_of, path_of
from graph.execution.row_completion import Filling, Plan
from graph.execution.selections import Selection, attributes_of, completion_of, selection_of
from repo import Rows


class Variant:
    """What is the same in all executions of an operation that skip and include the same. Keys hold ids of
    lists, which the values keep alive."""

    def __init__(self) -> None:
        self.root: GroupedFieldSet | None = None
        self.events: tuple[str, Complete | None] | None = None
        self.below: dict[tuple[GraphQLObjectType, int], tuple[FieldDetailsList, CollectedFields]] = {}
        self.selections: dict[tuple[GraphQLObjectType, int], tuple[GroupedFieldSet, Selection]] = {}
        self.calls: dict[tuple[GraphQLObjectType, int], tuple[FieldDetailsList, Call | None]] = {}
        self.completions: dict[Call, Complete | None] = {}
        self.plans: dict[Selection, list[Plan] | None] = {}
        self.attributes: dict[tuple[int, str], tuple[Any, frozenset[str] | None]] = {}


class CompiledExecutor(StrawberryGraphQLCoreExecutionContext):
    """One execution. Objects come as structs where their selection could be compiled."""

    def __init__(
        self,
        variant: Variant,
        inputs: dict[str, Any] | None,
        variables: dict[str, Any] | None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """`inputs` are the variables as resolvers take them, where these could be compiled; `variables` are
        those that the client sent."""
        self._variables = variables
        self._values: VariableValues | None = None
        super().__init__(*args, **kwargs)
        self._variant = variant
        self._relevant_sub_fields = variant.below
        self.inputs = inputs
        self.arguments: dict[Call, dict[str, Any]] = {}
        """The arguments of each field that was called."""

    @property
    def variable_values(self) -> Any:
        """The variables as graphql-core wants them."""
        if self._values is None:
            definitions = self.operation.variable_definitions or ()
            values = get_variable_values(self.schema, definitions, self._variables or {})
            assert isinstance(values, VariableValues), "compiled code takes nothing that is not valid"
            self._values = values
        return self._values

    @variable_values.setter
    def variable_values(self, values: VariableValues | None) -> None:
        self._values = values

    def build_resolve_info(self, *given: Any) -> Any:
        """What a resolver is told, and this executor with it."""
        info: Any = super().build_resolve_info(*given)
        told = _open(type(info))(*info)
        told.executor = self
        return told

    def attributes(
        self, kind: GraphQLOutputType, nodes: Sequence[FieldNode], name: str
    ) -> frozenset[str] | None:
        """Which attributes of the objects of type `name` are read below a field of this type; None where it
        is not known."""
        known = self._variant.attributes
        found = known.get((id(nodes[0]), name))
        if found is None:
            details = [FieldDetails(node, None) for node in nodes]
            read = attributes_of(self.schema, kind, details, self._collect, name)
            found = known[id(nodes[0]), name] = nodes[0], read
        return found[1]

    def completion_of_events(self) -> tuple[str, Complete | None]:
        """What the field of a subscription is called in the answer, and what makes of an event what is
        encoded for it; None where something in it has to be resolved."""
        if self._variant.events is None:
            self._variant.events = self._completion_of_events()
        return self._variant.events

    def _completion_of_events(self) -> tuple[str, Complete | None]:
        root_type = self.schema.get_root_type(self.operation.operation)
        assert root_type is not None, "an operation that is valid has a type"
        values, operation = self.variable_values, self.operation
        fields = collect_fields(self.schema, self.fragments, values, root_type, operation, False)[0]
        if len(fields) != 1:
            return "", None
        ((name, details),) = fields.items()
        field = self.schema.get_field(root_type, details[0].node.name.value)
        # Strawberry gives a field of a subscription a resolver that returns the event.
        if field is None or getattr(field.resolve, "__name__", "") != "<lambda>":
            return name, None
        return name, completion_of(self.schema, field.type, details, self._collect)

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

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        """As graphql-core does it, but for how the resolver is called and plain values are completed."""
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
        except Surprise:
            return super().execute_field(parent_type, source, field_details_list, path, position_context)
        except Exception as error:
            self.handle_field_error(error, call.field.type, field_details_list, path)
            return None
        return completed

    async def _complete_later(
        self, call: Call, awaitable: Awaitable[Any], path: Path, is_complete: bool = False
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

    def complete(self, call: Call, result: Any, place: Path | tuple[Any, ...]) -> Any:
        """What is encoded of what a resolver gave, or something to await."""
        complete = self._completion(call)
        if complete is not None:
            try:
                return complete(result)
            except Exception:
                pass  # graphql-core says what is wrong with it
        path = path_of(place)
        info = self.build_resolve_info(call.field, call.nodes, call.parent, path)
        return self.complete_value(call.field.type, call.details, info, path, result, None)

    def complete_list_value(
        self,
        return_type: GraphQLList[GraphQLOutputType],
        field_details_list: FieldDetailsList,
        info: Any,
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Lists of objects whose resolvers give plain values: without a task for each."""
        parent = get_named_type(return_type)
        if isinstance(parent, GraphQLObjectType) and type(result) in (list, tuple, Rows):
            inner = return_type.of_type
            item = inner.of_type if is_non_null_type(inner) else inner
            selection = self._selection(parent, self._collect(parent, field_details_list))
            plans = self._plans(parent, selection) if item is parent else None
            if plans is not None and self.abort_signal is None:
                try:
                    objects = result.items if type(result) is Rows else result
                    structs = [selection.build(each) for each in objects]
                    for _, _, call, _ in plans:
                        call.prepare(self)
                except Exception:
                    pass  # nothing was resolved yet
                else:
                    filling = Filling(self, parent, inner, field_details_list, path, plans, structs)
                    return filling.begin(objects)
        return super().complete_list_value(
            return_type, field_details_list, info, path, result, position_context
        )

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

    def _call(self, parent: GraphQLObjectType, details: FieldDetailsList) -> Call | None:
        key = (parent, id(details))
        found = self._variant.calls.get(key)
        if found is None:
            found = self._variant.calls[key] = details, call_of(self.schema, parent, details)
        return found[1]

    def _completion(self, call: Call) -> Complete | None:
        known = self._variant.completions
        if call not in known:
            known[call] = completion_of(self.schema, call.field.type, call.details, self._collect)
        return known[call]

    def _plans(self, parent: GraphQLObjectType, selection: Selection) -> list[Plan] | None:
        """How what is resolved of each object of a list is resolved; None where one is not enough."""
        known = self._variant.plans
        if selection not in known:
            plans: list[Plan] | None = []
            for response_name, details, attribute in selection.others:
                call = self._call(parent, details)
                complete = None if call is None else self._completion(call)
                if call is None or complete is None:
                    plans = None
                    break
                plans.append((attribute, response_name, call, complete))  # type: ignore[union-attr]
            known[selection] = plans
        return known[selection]


_opened: dict[type, Any] = {}


def _open(kind: type) -> Any:
    """The same class of tuple, with room for more."""
    if kind not in _opened:
        _opened[kind] = type(kind.__name__, (kind,), {})
    return _opened[kind]


async def _when_done(struct: Any, awaited: list[tuple[str, Any]]) -> Any:
    if len(awaited) == 1:
        attribute, result = awaited[0]
        setattr(struct, attribute, await result)
    else:
        results = await gather_with_cancel(*(result for _, result in awaited))
        for (attribute, _), result in zip(awaited, results, strict=True):
            setattr(struct, attribute, result)
    return struct
