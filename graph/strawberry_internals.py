"""Everything that relies on undocumented details of Strawberry and graphql-core.

Tests compare each of them with the installed versions, so that an upgrade that changes one fails by name.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from graphql import GraphQLField, GraphQLInputField, GraphQLSchema
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types.arguments import StrawberryArgument, convert_argument, convert_arguments
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.info import Info

DEFINITION = "strawberry-definition"
"""The extension of a graphql-core type or field that has Strawberry's definition of it."""

ATTRIBUTE_RESOLVER = "_get_basic_result"
CALLING_RESOLVERS = frozenset({"_resolver", "_async_resolver"})
EVENT_RESOLVER = "<lambda>"
"""Names of the functions that Strawberry makes the resolvers of fields."""


def field_definition(field: GraphQLField | GraphQLInputField | None) -> StrawberryField | None:
    """Strawberry's definition of a field; None for one that is not Strawberry's."""
    definition = None if field is None else field.extensions.get(DEFINITION)
    return definition if isinstance(definition, StrawberryField) else None


def field_metadata(field: GraphQLField | GraphQLInputField | None) -> Mapping[str, Any]:
    """The metadata with which a field was declared."""
    definition = field_definition(field)
    return {} if definition is None else definition.metadata


def enum_definition(kind: Any) -> StrawberryEnumDefinition | None:
    """Strawberry's definition of an enum."""
    definition = kind.extensions.get(DEFINITION)
    return definition if isinstance(definition, StrawberryEnumDefinition) else None


def reads_attribute(field: GraphQLField, definition: StrawberryField) -> bool:
    """Whether the field is an attribute of its parent, without extensions, permissions or error handlers."""
    return _resolver_name(field) == ATTRIBUTE_RESOLVER and definition.is_basic_field


def only_calls_resolver(field: GraphQLField, definition: StrawberryField) -> bool:
    """Whether the field is the result of its resolver and nothing else."""
    plain = not (definition.extensions or definition.is_basic_field)
    return plain and _resolver_name(field) in CALLING_RESOLVERS


def returns_event(field: GraphQLField) -> bool:
    """Whether a field of the subscription type returns the event as it is."""
    return _resolver_name(field) == EVENT_RESOLVER


def _resolver_name(field: GraphQLField) -> str:
    return getattr(field.resolve, "__name__", "")


def core_schema(schema: Any) -> GraphQLSchema:
    """The graphql-core schema of a Strawberry schema."""
    return schema._schema  # type: ignore[no-any-return]


def requested_operation(context: Any) -> str | None:
    """The operation name of a request, by the execution context of a Strawberry extension."""
    return context._provided_operation_name  # type: ignore[no-any-return]


class ArgumentConverter:
    """Converts coerced arguments to what resolvers accept, as Strawberry does."""

    def __init__(self, schema: GraphQLSchema) -> None:
        strawberry_schema: Any = schema._strawberry_schema  # type: ignore[attr-defined]
        self._registry = strawberry_schema.schema_converter.scalar_registry
        self._config: StrawberryConfig = strawberry_schema.config

    def name(self, argument: StrawberryArgument) -> str:
        """The name of an argument in the schema."""
        return self._config.name_converter.from_argument(argument)

    def convert(self, argument: StrawberryArgument, value: Any) -> Any:
        """The value of one argument."""
        return convert_argument(value, argument.type, self._registry, self._config)

    def convert_all(self, definition: StrawberryField, values: dict[str, Any]) -> dict[str, Any]:
        """The values of all arguments, by the names of the resolver's parameters."""
        return convert_arguments(
            values, definition.arguments, scalar_registry=self._registry, config=self._config, info=None
        )


class LazyInfo(Info[Any, Any]):
    """Strawberry's `info`, whose graphql-core counterpart is made when first needed."""

    def __init__(self, definition: StrawberryField) -> None:
        self._field = definition

    @cached_property
    def _raw_info(self) -> Any:  # type: ignore[override]
        return self.make_resolve_info()

    def make_resolve_info(self) -> Any:
        """graphql-core's `info` of the same resolver call."""
        raise NotImplementedError


def resolve_info_of(info: Info[Any, Any]) -> Any:
    """The graphql-core `info` of a resolver's `info`."""
    return info._raw_info


class ExecutionContext(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's execution of one operation."""

    def share_collected_fields(self, cache: dict[Any, Any]) -> None:
        """Keep the fields collected below each field in a cache that outlives this execution."""
        self._relevant_sub_fields = cache


def with_executor(info: Any, executor: object) -> Any:
    """A copy of graphql-core's `info`, a named tuple, that has the executor as an attribute."""
    kind = type(info)
    if kind not in _open_infos:
        _open_infos[kind] = type(kind.__name__, (kind,), {})  # a subclass without __slots__ has a __dict__
    copy = _open_infos[kind](*info)
    copy.executor = executor
    return copy


_open_infos: dict[type, Any] = {}
