"""The columns that a selection needs are derived from the resolvers, and checked when the schema is built."""

from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import strawberry

import repo
from graph.execution import PURE, Engine, OperationRequest, check_attributes, from_columns
from graph.execution.attributes import attributes_in, attributes_read
from graph.limits.documents import Limits
from graph.schema.build import build_schema
from graph.strawberry_internals import core_schema, field_definition
from repo import ActionRepo


def name_of(project: str, name: str) -> str:
    return f"{project}/{name}"


def passed_on(root: Any) -> str:
    return name_of(root.project, root.name)


@strawberry.type
class Record:
    cost: float

    @strawberry.field
    async def twice(root: strawberry.Parent[Any], info: strawberry.Info) -> float:
        async def read() -> float:
            return float(root.cost)

        return await read() if root.name else 0.0

    @strawberry.field
    def unknown(root: strawberry.Parent[Any]) -> str:
        return passed_on(root)

    @strawberry.field(metadata=PURE | from_columns({repo.Run: name_of}))  # type: ignore[untyped-decorator]
    def declared(root: strawberry.Parent[Any]) -> str:
        return passed_on(root)

    @strawberry.field
    def constant(self) -> str:
        return "name"


@strawberry.type
class Query:
    record: Record | None = None


SCHEMA = strawberry.Schema(Query)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("cost", {"cost"}),
        ("twice", {"cost", "name"}),
        ("declared", {"project", "name"}),
        ("constant", set()),
        ("unknown", None),
    ],
)
def test_the_attributes_that_a_resolver_reads_are_derived(name: str, read: set[str] | None) -> None:
    kind: Any = core_schema(SCHEMA).type_map["Record"]
    definition = field_definition(kind.fields[name])
    assert definition is not None
    assert attributes_read(definition) == read


def test_a_field_that_reads_an_unknown_attribute_fails_with_its_name() -> None:
    with pytest.raises(TypeError, match=r"Record\.cost reads `cost`, which is no column of Run"):
        check_attributes(SCHEMA, "Record", repo.Run, {"project", "name"})


def test_a_resolver_that_passes_its_parent_on_fails_with_its_name() -> None:
    with pytest.raises(TypeError, match=r"Record\.unknown: its resolver passes its parent on"):
        check_attributes(SCHEMA, "Record", repo.Run, {"project", "name", "cost"})


@pytest.mark.parametrize("entity", [repo.Run, repo.Action])
def test_each_property_of_a_record_reads_only_its_declared_columns(entity: Any) -> None:
    for attribute, columns in repo.SOURCE_FIELDS.items():
        if not isinstance(getattr(entity, attribute, None), property):
            continue
        read = attributes_in(getattr(entity, attribute).fget, frozenset({"self"}))
        assert read is not None
        assert read <= set(columns), attribute


async def test_each_column_of_runs_and_actions_is_encoded_without_objects(repository: ActionRepo) -> None:
    """A column of a new type needs a kind of column, or each row would become an object first."""
    core: Any = core_schema(
        build_schema(Limits(depth=30, aliases=1000, tokens=20000, cost=10**30, page=1000))
    )
    for name, page in (("Run", await repository.runs.page()), ("Action", await repository.list_actions())):
        assert isinstance(page.items, repo.Rows)
        columns = page.items.layout.columns
        for field_name, field in core.type_map[name].fields.items():
            definition = field_definition(field)
            assert definition is not None
            column = columns.get(definition.python_name)
            if column is not None and definition.base_resolver is None:
                assert column.kind is not repo.ColumnKind.OTHER, f"{name}.{field_name}"


@dataclass(slots=True)
class Priced:
    cost: float
    refund: float | None


def priced(*values: tuple[float, float | None]) -> repo.Rows[Priced]:
    columns = [
        repo.Column(0, repo.ColumnKind.FLOAT, True, None),
        repo.Column(1, repo.ColumnKind.FLOAT, False, None),
    ]
    return repo.Rows(values, repo.Layout(Priced, ["cost", "refund"], columns))


@strawberry.type
class PricedRecord:
    cost: float
    refund: float | None


async def execute(rows: repo.Rows[Priced]) -> Any:
    @strawberry.type
    class Prices:
        @strawberry.field(graphql_type=list[PricedRecord])  # type: ignore[untyped-decorator]
        async def records(self) -> Any:
            return rows

    answer = await Engine(strawberry.Schema(Prices)).answer(
        OperationRequest("{ records { cost refund } }"), None
    )
    return orjson.loads(answer.body)


async def test_floats_of_rows_are_encoded_without_objects() -> None:
    rows = priced((0.5, None), (1e300, -2.0))
    assert await execute(rows) == {
        "data": {"records": [{"cost": 0.5, "refund": None}, {"cost": 1e300, "refund": -2.0}]}
    }
    assert rows.raw is not None, "no objects were made of the rows"


async def test_a_float_that_json_cannot_represent_is_an_error_of_its_field() -> None:
    found = await execute(priced((0.5, float("inf"))))
    assert found["data"] == {"records": [{"cost": 0.5, "refund": None}]}
    assert [error["path"] for error in found["errors"]] == [["records", 0, "refund"]]
