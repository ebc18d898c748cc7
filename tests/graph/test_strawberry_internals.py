"""What compiled execution assumes about internals of Strawberry and graphql-core holds in these versions."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import strawberry
from graphql import GraphQLField, GraphQLResolveInfo
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission

from graph import strawberry_internals as internals


class Refuse(BasePermission):
    message = "no"

    def has_permission(self, source: Any, info: Any, **_: Any) -> bool:
        return False


class Uppercase(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: Any, **arguments: Any) -> Any:
        return next_(source, info, **arguments).upper()


@strawberry.type
class Query:
    attribute: str = "a"
    guarded_attribute: str = strawberry.field(default="a", permission_classes=[Refuse])

    @strawberry.field
    def resolved(self, info: strawberry.Info, number: int = 1) -> str:
        return str(number)

    @strawberry.field
    async def awaited(self) -> str:
        return "a"

    @strawberry.field(permission_classes=[Refuse])  # type: ignore[untyped-decorator]
    def guarded(self) -> str:
        return "a"

    @strawberry.field(extensions=[Uppercase()])  # type: ignore[untyped-decorator]
    def extended(self) -> str:
        return "a"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self) -> AsyncIterator[int]:
        yield 1


SCHEMA = strawberry.Schema(Query, subscription=Subscription)
CORE = internals.core_schema(SCHEMA)


def field(name: str) -> tuple[GraphQLField, Any]:
    assert CORE.query_type is not None
    found = CORE.query_type.fields[name]
    return found, internals.field_definition(found)


@pytest.mark.parametrize(
    ("name", "is_attribute", "is_call"),
    [
        ("attribute", True, False),
        ("guardedAttribute", False, False),
        ("resolved", False, True),
        ("awaited", False, True),
        ("guarded", False, False),
        ("extended", False, False),
    ],
)
def test_fields_with_nothing_around_their_resolver_are_recognized(
    name: str, is_attribute: bool, is_call: bool
) -> None:
    assert internals.reads_attribute(*field(name)) is is_attribute
    assert internals.only_calls_resolver(*field(name)) is is_call


def test_the_resolver_of_an_attribute_returns_it() -> None:
    resolve: Any = field("attribute")[0].resolve
    assert resolve(Query(attribute="b"), None) == "b"


def test_a_subscription_field_returns_its_event() -> None:
    assert CORE.subscription_type is not None
    count: Any = CORE.subscription_type.fields["count"]
    assert internals.returns_event(count)
    event = object()
    assert count.resolve(event, None) is event


def test_arguments_are_converted_by_their_names() -> None:
    converter, (_, definition) = internals.ArgumentConverter(CORE), field("resolved")
    (argument,) = definition.arguments
    assert converter.name(argument) == "number"
    assert converter.convert(argument, 7) == 7
    assert converter.convert_all(definition, {"number": 7}) == {"number": 7}


def test_info_is_made_of_graphql_cores_own() -> None:
    info = GraphQLResolveInfo(*range(len(GraphQLResolveInfo._fields)))
    copy = internals.with_executor(info, "the executor")
    assert (copy, copy.executor, copy.field_name) == (info, "the executor", info.field_name)

    class Made(internals.LazyInfo):
        def make_resolve_info(self) -> Any:
            return info

    assert internals.resolve_info_of(Made(field("resolved")[1])) is info
    assert Made(field("resolved")[1]).field_name == info.field_name


def test_graphql_core_collects_fields_into_the_shared_cache() -> None:
    class Noting(internals.ExecutionContext):
        cache: dict[Any, Any] = {}

        def execute_operation(self, *value: Any) -> Any:
            self.share_collected_fields(self.cache)
            return super().execute_operation(*value)

    @strawberry.type
    class Outer:
        inner: Query

    schema = strawberry.Schema(Outer, execution_context_class=Noting)
    result = schema.execute_sync("{ inner { attribute } }", root_value=Outer(inner=Query()))
    assert (result.data, result.errors) == ({"inner": {"attribute": "a"}}, None)
    assert len(Noting.cache) == 1
