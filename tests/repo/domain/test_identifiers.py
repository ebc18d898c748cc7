"""Names of runs and actions: which are valid, and that valid ones work everywhere."""

import pytest

from repo import ActionIdentifier, ActionRepo, InvalidArgument, RunIdentifier
from repo.domain.phases import ActionPhase
from tests.support.client import GraphQLClient
from tests.support.making import action, event, new

ODD_NAMES = [
    "a/b//c",
    "../..",
    "name with spaces ",
    "quo'te\"s;--",
    "100%_\\",
    "été",
    "日本語",
    "👩\u200d💻",
    "e\u0301",
    "{}[]\\u0041",
    "a" * 255,
    "界" * 255,
    "😀" * 255,
]


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_any_printable_name_works_everywhere(repository: ActionRepo, name: str) -> None:
    run = RunIdentifier(name, name, name)
    root, child = action(name, run), action("child", run)
    await repository.actions.create([new(name, run=run), new("child", name, run=run)])
    assert (await repository.get_run(run)).identifier == run
    assert (await repository.get_action(root)).identifier == root
    assert (await repository.get_action(child)).parent_name == name
    assert await repository.insert_events([event(name, run=run)]) == 1
    assert len(await repository.list_events(root)) == 1
    assert await repository.update_action_phase(root, ActionPhase.RUNNING, 1)
    assert [found.name for found in await repository.list_root_actions(name, name)] == [name]
    assert (await repository.runs.list_projects()) == {name: [name]}


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_any_printable_name_works_in_ids_and_cursors(client: GraphQLClient, name: str) -> None:
    identifier = {"project": name, "domain": name, "runName": name, "name": name}
    created = await client.execute(
        """mutation ($id: ActionIdentifierInput!) {
             createAction(input: {id: $id}) { action { id run { id } } }
           }""",
        {"id": identifier},
    )
    made = created["data"]["createAction"]["action"]
    for wanted in (made["id"], made["run"]["id"]):
        found = await client.execute("query ($id: ID!) { node(id: $id) { id } }", {"id": wanted})
        assert found["data"]["node"]["id"] == wanted
    listed = await client.execute("{ runs(orderBy: {field: NAME}) { edges { cursor node { name } } } }")
    (edge,) = listed["data"]["runs"]["edges"]
    assert edge["node"]["name"] == name
    after = await client.execute(
        "query ($c: String!) { runs(orderBy: {field: NAME}, after: $c) { nodes { name } } }",
        {"c": edge["cursor"]},
    )
    assert after["data"]["runs"]["nodes"] == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "must not be empty"),
        ("a" * 256, "has 256 characters; at most 255 are allowed"),
        ("a\nb", r"unprintable character U\+000A at position 1"),
        ("\0", r"U\+0000"),
        ("\x7f", r"U\+007F"),
        ("\u2028", r"U\+2028"),
        ("\ud800", r"U\+D800"),
    ],
)
def test_an_unprintable_name_is_rejected(name: str, problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem):
        RunIdentifier("p", "d", name)
    with pytest.raises(InvalidArgument, match=problem):
        ActionIdentifier("p", "d", "r", name)


def test_names_that_join_to_the_same_text_have_different_keys() -> None:
    keys = {RunIdentifier(*names).key for names in [("a/b", "c", "d"), ("a", "b/c", "d"), ("a", "b", "c/d")]}
    assert len(keys) == 3
