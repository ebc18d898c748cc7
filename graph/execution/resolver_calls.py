"""Owns how resolvers are called from compiled code: with arguments that are made once an execution."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphql import (
    FieldNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
    VariableNode,
    Visitor,
    is_non_null_type,
    visit,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_literal
from strawberry.types.arguments import StrawberryArgument, convert_argument, convert_arguments
from strawberry.types.field import StrawberryField
from strawberry.types.info import Info

from graph.execution.code_generation import Surprise
from graph.execution.inputs import is_constant

Arguments = Callable[[Any], dict[str, Any]]
"""Makes the arguments of a field for an execution. May raise anything."""

_MISSING: Any = object()


class CallInfo(Info[Any, Any]):
    """What a resolver is told. What is seldom asked for is made when it is."""

    def __init__(self, executor: Any, call: "Call", path: Path | tuple[Any, ...]) -> None:
        self._executor = executor
        self._call = call
        self._place = path
        self._field = call.definition

    @property
    def context(self) -> Any:
        return self._executor.context_value

    def attributes(self, name: str) -> frozenset[str] | None:
        """What `selected` gives."""
        call = self._call
        return self._executor.attributes(call.field.type, call.nodes, name)  # type: ignore[no-any-return]

    @cached_property
    def _raw_info(self) -> Any:  # type: ignore[override]
        call = self._call
        info: Any = self._executor.build_resolve_info(
            call.field, call.nodes, call.parent, path_of(self._place)
        )
        return info


def selected(info: Info[Any, Any], name: str) -> frozenset[str] | None:
    """Which attributes are read of the objects of type `name` that a resolver returns, by the fields that
    are selected of them; None where all may be."""
    if isinstance(info, CallInfo):
        return info.attributes(name)
    told: Any = info._raw_info
    executor = getattr(told, "executor", None)
    if executor is None:
        return None
    return executor.attributes(told.return_type, told.field_nodes, name)  # type: ignore[no-any-return]


def path_of(place: Path | tuple[Any, ...]) -> Path:
    """The path of a field of the object at a path, or of one of a list of objects there."""
    if isinstance(place, Path):
        return place
    path, index, name, typename = place
    return Path(Path(path, index, None), name, typename)


class Call:
    """A field whose resolver can be called."""

    def __init__(
        self,
        field: GraphQLField,
        parent: GraphQLObjectType,
        details: FieldDetailsList,
        definition: StrawberryField,
        arguments: Arguments,
    ) -> None:
        self.field = field
        self.parent = parent
        self.details = details
        self.definition = definition
        self.nodes: list[FieldNode] = [each.node for each in details]
        self._arguments = arguments
        resolver = definition.base_resolver
        assert resolver is not None
        self._function: Callable[..., Any] = resolver.wrapped_func  # type: ignore[assignment]
        self._as_self = resolver.self_parameter is not None
        sources = (resolver.root_parameter, resolver.parent_parameter)
        self._source = [each.name for each in sources if each is not None]
        self._info = None if resolver.info_parameter is None else resolver.info_parameter.name

    def prepare(self, executor: Any) -> dict[str, Any]:
        """The arguments of this execution. Raises Surprise."""
        found: dict[str, Any] | None = executor.arguments.get(self)
        if found is None:
            try:
                found = executor.arguments[self] = self._arguments(executor)
            except Exception:
                raise Surprise from None
        return found

    def resolve(self, executor: Any, source: Any, path: Path | tuple[Any, ...]) -> Any:
        """What the resolver gives. Raises Surprise before it is called, or what it raises."""
        given = dict(self.prepare(executor))
        for name in self._source:
            given[name] = source
        if self._info is not None:
            given[self._info] = CallInfo(executor, self, path)
        return self._function(source, **given) if self._as_self else self._function(**given)


def call_of(schema: GraphQLSchema, parent: GraphQLObjectType, details: FieldDetailsList) -> Call | None:
    """How the resolver of a field is called; None where only Strawberry knows."""
    node = details[0].node
    field = schema.get_field(parent, node.name.value)
    definition = None if field is None else field.extensions.get("strawberry-definition")
    if field is None or not isinstance(definition, StrawberryField) or definition.base_resolver is None:
        return None
    if definition.extensions or definition.is_basic_field or details[0].fragment_variable_values:
        return None
    if getattr(field.resolve, "__name__", "") not in ("_resolver", "_async_resolver"):
        return None
    arguments = _arguments_of(schema, field, definition, node)
    return Call(field, parent, details, definition, arguments)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the arguments of a field before an execution."""

    constants: dict[str, Any]
    """By the names of the resolver's parameters."""
    variables: list[tuple[str, str, bool, Any]]
    """Parameter, variable, whether it needs a value, and its default."""


def constant_arguments(
    schema: GraphQLSchema, field: GraphQLField, definition: StrawberryField, node: FieldNode
) -> dict[str, Any] | None:
    """The arguments of a field, by the names of the resolver's parameters, where they are the same in all
    executions; None where they are not."""
    known = _known_arguments(schema, field, definition, node)
    return None if known is None or known.variables else known.constants


def _arguments_of(
    schema: Any, field: GraphQLField, definition: StrawberryField, node: FieldNode
) -> Arguments:
    strawberry_schema = schema._strawberry_schema
    registry = strawberry_schema.schema_converter.scalar_registry
    config = strawberry_schema.config

    def by_the_book(executor: Any) -> dict[str, Any]:
        values = get_argument_values(field, node, executor.variable_values)
        return convert_arguments(
            values, definition.arguments, scalar_registry=registry, config=config, info=None
        )

    known = _known_arguments(schema, field, definition, node)
    if known is None:
        return by_the_book
    constants, variables = known.constants, known.variables

    def arguments(executor: Any) -> dict[str, Any]:
        made, values = dict(constants), executor.inputs
        if values is None:
            return by_the_book(executor)
        for python_name, name, needed, default in variables:
            value = values.get(name, default)
            if value is _MISSING:
                if needed:
                    raise Surprise
                continue
            if value is None and needed:
                raise Surprise
            made[python_name] = value
        return made

    return arguments


def _known_arguments(
    schema: Any, field: GraphQLField, definition: StrawberryField, node: FieldNode
) -> _Known | None:
    """None where only graphql-core can tell, at each execution."""
    strawberry_schema = schema._strawberry_schema
    registry = strawberry_schema.schema_converter.scalar_registry
    config = strawberry_schema.config
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    known = _Known({}, [])

    def convert(argument: StrawberryArgument, value: Any) -> Any:
        return convert_argument(value, argument.type, registry, config)

    for argument in definition.arguments:
        name = config.name_converter.from_argument(argument)
        taken: GraphQLArgument = field.args[name]
        assert argument.python_name is not None
        default = coerce_default_value(taken)
        value = _MISSING if default is Undefined else convert(argument, default)
        if value is not _MISSING and not is_constant(value):
            return None
        literal = given.get(name)
        if isinstance(literal, VariableNode):
            needed = is_non_null_type(taken.type)
            known.variables.append((argument.python_name, literal.name.value, needed, value))
            continue
        if literal is not None:
            if _holds_variables(literal):
                return None
            coerced = coerce_input_literal(literal, taken.type)
            if coerced is Undefined:
                return None
            value = convert(argument, coerced)
            if not is_constant(value):
                return None
        elif value is _MISSING and is_non_null_type(taken.type):
            return None
        if value is not _MISSING:
            known.constants[argument.python_name] = value
    return known


class _Variables(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def enter_variable(self, *_: Any) -> None:
        self.found = True


def _holds_variables(node: Any) -> bool:
    variables = _Variables()
    visit(node, variables)
    return variables.found
