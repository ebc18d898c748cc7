"""Columns of tables of actions: which there are, and their values."""

import json
from typing import Any

import pytest

from repo import (
    Access,
    ActionColumn,
    ActionFilter,
    ActionPhase,
    ActionRepo,
    ColumnSource,
    FoundColumn,
    Grant,
    InvalidArgument,
    NewMetric,
    Report,
    Role,
    RunIdentifier,
)
from repo.domain.columns import MAX_COLUMNS, MAX_DOCUMENT, MAX_TEXT
from tests.support.making import RUN, action, at, event, make_run, new

SPEC, OUTPUTS, METRICS = ColumnSource.SPEC, ColumnSource.OUTPUTS, ColumnSource.METRICS


def spec(*path: str) -> ActionColumn:
    """A column of the spec."""
    return ActionColumn(SPEC, path)


async def one(repository: ActionRepo, name: str, *columns: ActionColumn) -> list[Any]:
    """The values of an action."""
    key = action(name).key
    return (await repository.actions.list_values([key], columns))[key]


async def with_spec(repository: ActionRepo, document: Any) -> None:
    """A run whose action a1 has this spec."""
    await repository.actions.create([new(), new("a1", "a0", spec=document)])


async def test_values_are_scalars_of_specs_of_the_latest_outputs_and_of_metrics(
    repository: ActionRepo,
) -> None:
    document = {"lr": 0.1, "model": {"name": "tiny", "layers": [1, 2], "bias": True}, "a b": 2**70, "0": None}
    await with_spec(repository, document)
    await repository.insert_events(
        [
            event("a1", ActionPhase.RUNNING, attempt=1, outputs={"acc": 0.5}),
            event("a1", ActionPhase.RUNNING, attempt=2, outputs={"acc": 0.25, "step": 3}),
            event("a1", ActionPhase.RUNNING, attempt=2, version=1, outputs={"acc": 0.30000000000000004}),
            event("a1", ActionPhase.RUNNING, attempt=2, version=2),
        ]
    )
    metrics = (NewMetric("val.loss", 2.5, at(1)), NewMetric("val.loss", 1.5, at(2)))
    await repository.reports.store([Report(action("a1"), 2, metrics=metrics)])
    await repository.update_action_phase(action("a1"), ActionPhase.RUNNING, 2)
    columns = [
        spec("lr"),
        spec("model", "name"),
        spec("model", "bias"),
        spec("a b"),
        *(spec("model"), spec("model", "layers"), spec("model", "layers", "0"), spec("0"), spec("lr", "x")),
        spec("none"),
        ActionColumn(OUTPUTS, ("acc",)),
        ActionColumn(OUTPUTS, ("step",)),
        ActionColumn(METRICS, ("val.loss",)),
        ActionColumn(METRICS, ("none",)),
    ]
    nothing = [None] * 6
    expected = [0.1, "tiny", True, 2**70, *nothing, 0.30000000000000004, None, 1.5, None]
    assert await one(repository, "a1", *columns) == expected
    keys = [action("a0").key, action("a1").key, action("no").key]
    found = await repository.actions.list_values(keys, columns)
    assert [found[key] for key in keys] == [[None] * len(columns), expected, [None] * len(columns)]
    assert [type(value) for value in found[keys[1]][:4]] == [float, str, bool, int]


@pytest.mark.parametrize(
    "document", [5, "text", [1, {"a": 2}], True, {}, {"a": {"a": {"a": {"a": {"a": 1}}}}}]
)
async def test_a_document_without_such_a_value_has_none(repository: ActionRepo, document: Any) -> None:
    await with_spec(repository, document)
    assert await one(repository, "a1", spec("a"), spec("0"), spec("a", "a")) == [None] * 3
    assert [each.column for each in (await repository.actions.list_columns(RUN)).columns] == []


async def test_long_text_is_cut_within_no_character(repository: ActionRepo) -> None:
    texts = [
        "é" * MAX_TEXT,
        '"' * MAX_TEXT,
        "\n\u0001" * MAX_TEXT,
        "\U0001f680" * MAX_TEXT,
        "x" * (MAX_TEXT - 2),
    ]
    await with_spec(repository, {str(n): text for n, text in enumerate(texts)})
    values = await one(repository, "a1", *(spec(str(n)) for n in range(len(texts))))
    assert values[-1] == texts[-1]
    for value, text in zip(values[:-1], texts[:-1], strict=True):
        assert value.endswith("…")
        assert text.startswith(value[:-1])
        assert len(json.dumps(value)) > 20


async def test_large_documents_are_not_read(repository: ActionRepo) -> None:
    large = {"lr": 1, "rest": [n * 7919 for n in range(MAX_DOCUMENT // 4)]}
    repeated = {"lr": 1, "rest": "x" * MAX_DOCUMENT}
    await repository.actions.create(
        [
            new(),
            new("a1", "a0", spec=large),
            new("a2", "a0", spec=repeated),
            new("a3", "a0", spec={"lr": 1, "rest": "x" * (MAX_DOCUMENT // 2)}),
        ]
    )
    assert [(await one(repository, name, spec("lr"))) for name in ("a1", "a2", "a3")] == [[None], [None], [1]]
    found = await repository.actions.list_columns(RUN)
    assert [(each.column.path, each.actions) for each in found.columns] == [(("lr",), 1), (("rest",), 1)]


async def test_columns_are_found_with_how_often_they_differ(repository: ActionRepo) -> None:
    trials = [
        new(
            f"t{n}",
            "a0",
            group="trials",
            spec={"opt": {"lr": n / 10, "name": "adam"}, "tags": ["x"], "note": None},
        )
        for n in range(4)
    ]
    await make_run(repository)
    await repository.actions.create([*trials, new("load", "a0", spec={"path": "s3://x", 'a"b': 1})])
    await repository.insert_events(
        [event(f"t{n}", ActionPhase.SUCCEEDED, outputs={"acc": 1 if n else "bad"}) for n in range(3)]
    )
    reports = [
        Report(
            action(f"t{n}"),
            1,
            metrics=(NewMetric("loss", n // 2, at(1), "1"), NewMetric("gpu", 5, at(1), "W")),
        )
        for n in range(4)
    ]
    await repository.reports.store(reports)
    for each in trials:
        await repository.update_action_phase(each.id, ActionPhase.RUNNING, 1)
    found = await repository.actions.list_columns(RUN)
    assert found.searched == 6
    assert found.columns == [
        FoundColumn(spec("opt", "lr"), 4, 4, 4),
        FoundColumn(spec("opt", "name"), 4, 0, 1),
        FoundColumn(spec("path"), 1, 0, 1),
        FoundColumn(ActionColumn(OUTPUTS, ("acc",)), 3, 2, 2),
        FoundColumn(ActionColumn(METRICS, ("gpu",)), 4, 4, 1, "W"),
        FoundColumn(ActionColumn(METRICS, ("loss",)), 4, 4, 2, "1"),
    ]
    of_load = await repository.actions.list_columns(RUN, ActionFilter(search="load"))
    assert (of_load.searched, of_load.columns) == (1, [FoundColumn(spec("path"), 1, 0, 1)])
    nothing = await repository.actions.list_columns(RunIdentifier("etl", "production", "none"))
    assert (nothing.searched, nothing.columns) == (0, [])


async def test_others_read_no_values_and_no_columns(repository: ActionRepo) -> None:
    await with_spec(repository, {"secret": 1})
    other = repository.on_behalf_of(Access(frozenset({Grant(Role.ADMIN, "theirs")})))
    columns = [spec("secret"), ActionColumn(OUTPUTS, ("secret",)), ActionColumn(METRICS, ("secret",))]
    key = action("a1").key
    assert (await repository.actions.list_values([key], columns))[key][0] == 1
    assert (await other.actions.list_values([key], columns))[key] == [None] * 3
    assert (await other.actions.list_columns(RUN)).searched == 0
    assert not (await other.actions.list_columns(RUN)).columns


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([spec("x")] * (MAX_COLUMNS + 1), "at most 30 columns can be read at once, not 31"),
        ([spec()], "the path of a SPEC column has 1 to 4 names, not 0"),
        ([ActionColumn(OUTPUTS, ("x",) * 5)], "the path of a OUTPUTS column has 1 to 4 names, not 5"),
        ([ActionColumn(METRICS, ("a", "b"))], "the path of a METRICS column is one name, not 2"),
        ([spec('a"b')], "without quotes"),
        ([spec("a\\")], "without quotes"),
        ([spec("a\n")], "without quotes"),
        ([spec("")], "1 to 255 characters"),
        ([spec("x" * 256)], "1 to 255 characters"),
    ],
)
async def test_columns_that_cannot_be_read_are_refused(
    repository: ActionRepo, columns: list[ActionColumn], message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        await repository.actions.list_values([action().key], columns)
