"""Columns of actions as a client reads them: found, read, followed, limited."""

from typing import Any

import pytest

from repo import ActionPhase, ActionRepo
from tests.support.client import GraphQLClient
from tests.support.making import RUN, event, make_run, new, update

RUN_ID = {"project": RUN.project, "domain": RUN.domain, "name": RUN.name}
FIND = """query ($run: RunIdentifierInput!, $filter: ActionFilter) {
  actionColumns(run: $run, filter: $filter) {
    searched columns { source path actions numbers distinct unit }
  }
}"""
READ = """query ($run: RunIdentifierInput!, $columns: [ActionColumnInput!]!) {
  actions(run: $run) { nodes { name columnValues(columns: $columns) } }
}"""
LR = {"source": "SPEC", "path": ["opt", "lr"]}


@pytest.fixture
async def trials(repository: ActionRepo) -> ActionRepo:
    """A run of three trials."""
    await make_run(repository)
    specs: list[Any] = [{"opt": {"lr": n / 10}} for n in range(3)]
    await repository.actions.create(
        [new(f"t{n}", "a0", group="g", spec=each) for n, each in enumerate(specs)]
    )
    await repository.insert_events([event("t1", ActionPhase.SUCCEEDED, outputs={"acc": True})])
    await repository.actions.update_phases([update("t1", ActionPhase.SUCCEEDED)])
    return repository


async def test_columns_are_found_and_read(client: GraphQLClient, trials: ActionRepo) -> None:
    body = await client.execute(FIND, {"run": RUN_ID, "filter": {"group": "g"}})
    assert body["data"]["actionColumns"] == {
        "searched": 3,
        "columns": [
            {**LR, "actions": 3, "numbers": 3, "distinct": 3, "unit": None},
            {"source": "OUTPUTS", "path": ["acc"], "actions": 1, "numbers": 0, "distinct": 1, "unit": None},
        ],
    }
    columns = [LR, {"source": "OUTPUTS", "path": ["acc"]}, {"source": "METRICS", "path": ["none"]}]
    body = await client.execute(READ, {"run": RUN_ID, "columns": columns})
    assert {each["name"]: each["columnValues"] for each in body["data"]["actions"]["nodes"]} == {
        "a0": [None, None, None],
        "t0": [0.0, None, None],
        "t1": [0.1, True, None],
        "t2": [0.2, None, None],
    }


async def test_each_value_costs_as_much_as_an_object(client: GraphQLClient, trials: ActionRepo) -> None:
    many = [{"source": "METRICS", "path": [f"m{number}"]} for number in range(300)]
    read = READ.replace("run: $run", "run: $run, first: 1000")
    (error,) = (await client.execute(read, {"run": RUN_ID, "columns": many}))["errors"]
    assert "301,001" in error["message"]
    errors = (await client.execute(READ, {"run": RUN_ID, "columns": many[:31]}))["errors"]
    assert {each["extensions"]["code"] for each in errors} == {"BAD_USER_INPUT"}
    assert "at most 30 columns" in errors[0]["message"]
