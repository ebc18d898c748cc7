"""Notes over the API: their author is the caller, and lists show them without a statement more."""

from typing import Any

import pytest

from graph.auth.caller import ANONYMOUS, Caller
from repo import Access, ActionRepo, Grant, Identity, IdentityKind, Role
from tests.graph.auth.test_tenants import ask, codes
from tests.graph.schema.test_statements import counted
from tests.support.client import GraphQLClient
from tests.support.making import RUN, make_run

ADD = """mutation ($run: RunIdentifierInput, $action: ActionIdentifierInput, $text: String!, $key: String) {
  addNote(input: {run: $run, action: $action, text: $text, key: $key}) {
    id text author { kind subject name } createdAt editedAt
  }
}"""
UPDATE = "mutation ($id: ID!, $text: String!) { updateNote(id: $id, text: $text) { id text editedAt } }"
DELETE = "mutation ($id: ID!) { deleteNote(id: $id) { deleted } }"
OF_RUN = {"project": RUN.project, "domain": RUN.domain, "name": RUN.name}
OF_ACTION = {"project": RUN.project, "domain": RUN.domain, "runName": RUN.name, "name": "b"}
LIST = "{ runs(first: 50) { nodes { name noteCount lastNote { id text author { name } createdAt } } } }"
NOTES = "{ runs(first: 50) { nodes { notes(last: 2) { text } rootAction { notes { text } } } } }"


def person(subject: str, role: Role) -> Caller:
    access = Access(frozenset({Grant(role, RUN.project)}))
    return Caller(Identity(IdentityKind.USER, subject, subject.title()), access, f"user:{subject}")


async def test_the_author_is_the_caller_and_others_may_not_change_the_note(repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    ada, bob, admin = (
        person(*each) for each in (("ada", Role.OPERATOR), ("bob", Role.WRITER), ("root", Role.ADMIN))
    )
    for of in ({"run": OF_RUN}, {"action": OF_ACTION}):
        added = (await ask(repository, ada, ADD, text="on it", **of))["data"]["addNote"]
        assert (added["text"], added["editedAt"]) == ("on it", None)
        assert added["author"] == {"kind": "USER", "subject": "ada", "name": "Ada"}
        id = added["id"]
        for other in (bob, person("eve", Role.VIEWER)):
            assert codes(await ask(repository, other, UPDATE, id=id, text="x")) == {"FORBIDDEN"}
            assert codes(await ask(repository, other, DELETE, id=id)) == {"FORBIDDEN"}
        edited = (await ask(repository, ada, UPDATE, id=id, text="fixed"))["data"]["updateNote"]
        assert (edited["id"], edited["text"]) == (id, "fixed")
        assert edited["editedAt"] is not None
        for deleted in (True, False):
            assert (await ask(repository, admin, DELETE, id=id))["data"] == {
                "deleteNote": {"deleted": deleted}
            }
        assert codes(await ask(repository, ada, UPDATE, id=id, text="x")) == {"NOT_FOUND"}


async def test_a_list_of_runs_shows_the_last_notes_without_another_statement(repository: ActionRepo) -> None:
    await make_run(repository)
    for number in range(3):
        await ask(repository, ANONYMOUS, ADD, run=OF_RUN, text=f"note {number}")
    with counted(repository.database) as statements:
        body = await ask(repository, ANONYMOUS, LIST)
    (run,) = body["data"]["runs"]["nodes"]
    assert (run["noteCount"], run["lastNote"]["text"], run["lastNote"]["author"]) == (3, "note 2", None)
    assert len(statements) == 1
    (run,) = (await ask(repository, ANONYMOUS, NOTES))["data"]["runs"]["nodes"]
    assert [each["text"] for each in run["notes"]] == ["note 1", "note 2"]
    assert [each["text"] for each in run["rootAction"]["notes"]] == ["note 0", "note 1", "note 2"]


@pytest.mark.parametrize(
    ("query", "variables", "code", "text"),
    [
        (ADD, {"text": "x"}, "BAD_USER_INPUT", "give either run or action"),
        (
            ADD,
            {"text": "x", "run": OF_RUN, "action": OF_ACTION},
            "BAD_USER_INPUT",
            "give either run or action",
        ),
        (ADD, {"text": "", "run": OF_RUN}, "BAD_USER_INPUT", "text must not be empty"),
        (ADD, {"text": "x", "run": {**OF_RUN, "name": "none"}}, "NOT_FOUND", "there is no run"),
        (UPDATE, {"id": "zz", "text": "x"}, "BAD_USER_INPUT", "the id is not one of a note"),
        (UPDATE, {"id": "00" * 16, "text": "x"}, "NOT_FOUND", "there is no such note"),
    ],
)
async def test_a_mistake_is_an_error_that_names_it(
    client: GraphQLClient, repository: ActionRepo, query: str, variables: dict[str, Any], code: str, text: str
) -> None:
    await make_run(repository)
    (error,) = (await client.execute(query, variables))["errors"]
    assert error["extensions"]["code"] == code
    assert text in error["message"]
