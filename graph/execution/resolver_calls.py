"""Calls resolvers from compiled code, with arguments that are made once per execution."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
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
from strawberry.types.field import StrawberryField
from strawberry.types.info import Info

from graph.execution.code_generation import UnexpectedValue
from graph.execution.inputs import MISSING, is_constant
from graph.strawberry_internals import (
    ArgumentConverter,
    LazyInfo,
    field_definition,
    only_calls_resolver,
    resolve_info_of,
)

ListItemPath = tuple[Path, int, str, str]
"""The path of a list, an index, and the name and the parent type of a field: a `Path` not made yet."""


class Execution(Protocol):
    """The execution that resolver calls and the completion of lists belong to."""

    context_value: Any
    is_awaitable: Callable[[Any], TypeGuard[Awaitable[Any]]]
    inputs: dict[str, Any] | None
    """The variables as resolvers accept them; None if graphql-core coerced them."""
    arguments: dict["ResolverCall", dict[str, Any]]
    """The arguments of the calls so far, by call."""

    @property
    def variable_values(self) -> Any: ...

    def build_resolve_info(self, *details: Any) -> Any: ...

    def selected_attributes(
        self, kind: GraphQLOutputType, nodes: Sequence[FieldNode], name: str
    ) -> frozenset[str] | None: ...

    def complete(self, call: "ResolverCall", result: Any, path: Path | ListItemPath) -> Any: ...

    def handle_field_error(
        self, error: Exception, kind: GraphQLOutputType, details: FieldDetailsList, path: Path
    ) -> None: ...

    def settle_in_background(self, awaitables: Any) -> None: ...


MakeArguments = Callable[[Execution], dict[str, Any]]
"""Makes the arguments of a field for an execution. May raise anything."""


class CallInfo(LazyInfo):
    """The `info` of a resolver called from compiled code."""

    def __init__(self, execution: Execution, call: "ResolverCall", path: Path | ListItemPath) -> None:
        super().__init__(call.definition)
        self._execution = execution
        self._call = call
        self._path = path

    @property
    def context(self) -> Any:
        return self._execution.context_value

    def selected_attributes(self, name: str) -> frozenset[str] | None:
        """See `selected`."""
        call = self._call
        return self._execution.selected_attributes(call.field.type, call.nodes, name)

    def make_resolve_info(self) -> Any:
        call = self._call
        return self._execution.build_resolve_info(call.field, call.nodes, call.parent, path_of(self._path))


def selected(info: Info[Any, Any], name: str) -> frozenset[str] | None:
    """The attributes that the selection reads of the objects of type `name` returned by a resolver; None if
    it may read all of them."""
    if isinstance(info, CallInfo):
        return info.selected_attributes(name)
    resolve_info = resolve_info_of(info)
    execution: Execution | None = getattr(resolve_info, "executor", None)
    if execution is None:
        return None
    return execution.selected_attributes(resolve_info.return_type, resolve_info.field_nodes, name)


def path_of(path: Path | ListItemPath) -> Path:
    """The path as graphql-core represents it."""
    if isinstance(path, Path):
        return path
    list_path, index, name, typename = path
    return Path(Path(list_path, index, None), name, typename)


class ResolverCall:
    """A selected field whose resolver compiled code can call."""

    def __init__(
        self,
        field: GraphQLField,
        parent: GraphQLObjectType,
        details: FieldDetailsList,
        definition: StrawberryField,
        make_arguments: MakeArguments,
    ) -> None:
        self.field = field
        self.parent = parent
        self.details = details
        self.definition = definition
        self.nodes: list[FieldNode] = [each.node for each in details]
        self._make_arguments = make_arguments
        resolver = definition.base_resolver
        assert resolver is not None
        self._function: Callable[..., Any] = resolver.wrapped_func  # type: ignore[assignment]
        self._is_method = resolver.self_parameter is not None
        parents = (resolver.root_parameter, resolver.parent_parameter)
        self._parent_parameters = [each.name for each in parents if each is not None]
        self._info_parameter = None if resolver.info_parameter is None else resolver.info_parameter.name

    def prepare(self, execution: Execution) -> dict[str, Any]:
        """The arguments in this execution. Raises UnexpectedValue."""
        arguments = execution.arguments.get(self)
        if arguments is None:
            try:
                arguments = execution.arguments[self] = self._make_arguments(execution)
            except Exception:
                raise UnexpectedValue from None
        return arguments

    def resolve(self, execution: Execution, source: Any, path: Path | ListItemPath) -> Any:
        """The resolver's result. Raises UnexpectedValue before the call, or what the resolver raises."""
        arguments = dict(self.prepare(execution))
        for name in self._parent_parameters:
            arguments[name] = source
        if self._info_parameter is not None:
            arguments[self._info_parameter] = CallInfo(execution, self, path)
        return self._function(source, **arguments) if self._is_method else self._function(**arguments)


def resolver_call(
    schema: GraphQLSchema, parent: GraphQLObjectType, details: FieldDetailsList
) -> ResolverCall | None:
    """The call of a selected field's resolver; None if only Strawberry can make it."""
    node = details[0].node
    field = schema.get_field(parent, node.name.value)
    definition = field_definition(field)
    if field is None or definition is None or definition.base_resolver is None:
        return None
    if not only_calls_resolver(field, definition) or details[0].fragment_variable_values:
        return None
    return ResolverCall(field, parent, details, definition, _make_arguments(schema, field, definition, node))


@dataclass(frozen=True, slots=True)
class _VariableArgument:
    parameter: str
    variable: str
    is_required: bool
    default: Any


@dataclass(frozen=True, slots=True)
class _Arguments:
    """The arguments of a field before an execution."""

    constants: dict[str, Any]
    """By the names of the resolver's parameters."""
    variables: list[_VariableArgument]


def constant_arguments(
    schema: GraphQLSchema, field: GraphQLField, definition: StrawberryField, node: FieldNode
) -> dict[str, Any] | None:
    """The arguments by the names of the resolver's parameters; None if they depend on variables."""
    arguments = _compile_arguments(schema, field, definition, node)
    return None if arguments is None or arguments.variables else arguments.constants


def _make_arguments(
    schema: GraphQLSchema, field: GraphQLField, definition: StrawberryField, node: FieldNode
) -> MakeArguments:
    converter = ArgumentConverter(schema)

    def convert(execution: Execution) -> dict[str, Any]:
        return converter.convert_all(definition, get_argument_values(field, node, execution.variable_values))

    compiled = _compile_arguments(schema, field, definition, node)
    if compiled is None:
        return convert
    constants, variables = compiled.constants, compiled.variables

    def make(execution: Execution) -> dict[str, Any]:
        arguments, values = dict(constants), execution.inputs
        if values is None:
            return convert(execution)
        for argument in variables:
            value = values.get(argument.variable, argument.default)
            if argument.is_required and (value is MISSING or value is None):
                raise UnexpectedValue
            if value is not MISSING:
                arguments[argument.parameter] = value
        return arguments

    return make


def _compile_arguments(
    schema: GraphQLSchema, field: GraphQLField, definition: StrawberryField, node: FieldNode
) -> _Arguments | None:
    """None if graphql-core has to make them at each execution."""
    converter = ArgumentConverter(schema)
    literals = {argument.name.value: argument.value for argument in node.arguments or ()}
    compiled = _Arguments({}, [])
    for argument in definition.arguments:
        name = converter.name(argument)
        declared = field.args[name]
        assert argument.python_name is not None
        default = coerce_default_value(declared)
        value = MISSING if default is Undefined else converter.convert(argument, default)
        if value is not MISSING and not is_constant(value):
            return None
        literal = literals.get(name)
        if isinstance(literal, VariableNode):
            is_required = is_non_null_type(declared.type)
            compiled.variables.append(
                _VariableArgument(argument.python_name, literal.name.value, is_required, value)
            )
            continue
        if literal is not None:
            if _contains_variables(literal):
                return None
            coerced = coerce_input_literal(literal, declared.type)
            if coerced is Undefined:
                return None
            value = converter.convert(argument, coerced)
            if not is_constant(value):
                return None
        elif value is MISSING and is_non_null_type(declared.type):
            return None
        if value is not MISSING:
            compiled.constants[argument.python_name] = value
    return compiled


class _VariableFinder(Visitor):
    found = False

    def enter_variable(self, *_: Any) -> None:
        self.found = True


def _contains_variables(node: Any) -> bool:
    finder = _VariableFinder()
    visit(node, finder)
    return finder.found
