"""Two tenants in one database: each sees exactly what it would see alone."""

import asyncio
import gc
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
import pytest

from graph.auth.caller import ANONYMOUS, Caller
from graph.context import Context
from graph.execution import Engine, OperationRequest, encode, formatted
from graph.limits.documents import Limits
from graph.schema.build import build_schema
from graph.schema.types.node_ids import id_of
from graph.strawberry_internals import core_schema
from repo import (
    FULL_ACCESS,
    Access,
    ActionPhase,
    ActionRepo,
    Grant,
    Identity,
    IdentityKind,
    Role,
    RunFilter,
    RunIdentifier,
    open_repository,
)
from tests.support.databases import Databases, wait_for
from tests.support.making import action, all_events, make_run, new
from tests.support.operations import Operation, Operations
from tests.support.world import fill, words

# graphql-core cancels siblings of an error before they begin.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SECONDS = 40
COUNT = int(os.environ.get("RUNGRAPH_TEST_TENANT_OPERATIONS", "300"))
SCHEMA = build_schema(Limits(depth=30, aliases=1000, tokens=20000, cost=10**30, page=1000))
CORE = core_schema(SCHEMA)
ENGINE = Engine(SCHEMA)
OURS, THEIRS = RunIdentifier("ours", "d", "r0"), RunIdentifier("theirs", "d", "r0")
USERS = Identity(IdentityKind.APPLICATION, "ours")


def caller(*grants: Grant, acts_for_others: bool = False) -> Caller:
    """A caller with these roles."""
    return Caller(USERS, Access(frozenset(grants), acts_for_others), "token ours")


async def ask(repository: ActionRepo, user: Caller, query: str, **variables: Any) -> dict[str, Any]:
    """The response to the caller."""
    context = Context(repository.on_behalf_of(user.access), user, 1000)
    answer = await ENGINE.answer(OperationRequest(query, variables), context)
    body: dict[str, Any] = orjson.loads(answer.body)
    return body


def codes(body: dict[str, Any]) -> set[str]:
    """The codes of the errors."""
    return {error["extensions"]["code"] for error in body.get("errors", ())}


# Reading


@dataclass(frozen=True)
class Pair:
    """A database with both tenants, and a copy without the second."""

    both: ActionRepo
    ours: ActionRepo
    texts: dict[str, list[str]]


@pytest.fixture(scope="module")
def urls(databases: Databases, migrated_url: str) -> Iterator[tuple[str, str]]:
    """Of both databases, which the tests only read."""
    both = databases.copy(migrated_url)
    wait_for(_fill(both))
    ours = databases.copy(both)
    wait_for(_forget_others(ours))
    yield both, ours
    databases.drop(both)
    databases.drop(ours)


async def _fill(url: str) -> None:
    async with open_repository(url) as repository:
        await fill(repository, "theirs")
        await fill(repository, "ours")
        # Also what is next to it: another domain of the same project, and a project with such a name.
        await fill(repository, "ours", "other")
        await fill(repository, "ours2")


@pytest.fixture
async def pair(urls: tuple[str, str]) -> AsyncIterator[Pair]:
    async with open_repository(urls[0]) as both, open_repository(urls[1]) as ours:
        texts = await words(both)
        runs = (await both.runs.page()).items
        texts["id"] += [id_of(each) for each in runs]
        texts["project"] = ["ours", "theirs", "ours2"]
        texts["domain"] = ["d", "other"]
        yield Pair(both, ours, texts)
    gc.collect()  # what was cancelled before it began is complained of here, and not in a later test


async def _forget_others(url: str) -> None:
    statement = "DELETE FROM actions WHERE NOT (project = 'ours' AND domain = 'd')"
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
            file.execute("PRAGMA foreign_keys = ON")
            file.execute(statement)
    else:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        await connection.execute(statement)
        await connection.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", Role)
async def test_reads_are_the_same_as_without_the_other_tenants(pair: Pair, role: Role) -> None:
    operations = Operations(CORE, pair.texts, seed=hash_of(role))
    reader, alone = caller(Grant(role, "ours", "d")), caller(Grant(role))
    found_something = 0
    for _ in range(COUNT // len(Role)):
        operation = operations.make()
        if "viewer" in operation.query:
            continue
        seen = await _answer(pair.both, reader, operation)
        expected = await _answer(pair.ours, alone, operation)
        assert seen == expected, operation.query
        found_something += b"ours" in orjson.dumps(seen)
    assert found_something > COUNT // len(Role) // 25


def hash_of(role: Role) -> int:
    """A number for a role, the same one each time."""
    return list(Role).index(role) + 1


async def _answer(repository: ActionRepo, user: Caller, operation: Operation) -> dict[str, Any]:
    context = Context(repository.on_behalf_of(user.access), user, 1000)
    answer = await ENGINE.answer(
        OperationRequest(operation.query, operation.variables, operation.operation_name), context
    )
    body: dict[str, Any] = orjson.loads(answer.body)
    for error in body.setdefault("errors", []):
        error["extensions"].pop("id", None)
    if body.get("data") is None:
        # Which of several errors comes first depends on timing; their code does not.
        return {"data": None, "errors": sorted({error["extensions"]["code"] for error in body["errors"]})}
    return {**body, "errors": sorted(map(json.dumps, body["errors"]))}


async def test_the_comparison_would_see_one_row_too_many(pair: Pair) -> None:
    query = Operation("{ runs { totalCount nodes { project domain name } } projects { name } }", {}, None)
    wide = await _answer(pair.both, caller(Grant(Role.VIEWER, "ours")), query)
    assert wide != await _answer(pair.ours, caller(Grant(Role.VIEWER)), query)
    assert wide["data"]["runs"]["totalCount"] == 6, "both domains of the project"


async def test_each_field_of_a_query_is_among_the_operations(pair: Pair) -> None:
    operations = Operations(CORE, pair.texts, seed=1)
    texts = [operations.make().query for _ in range(COUNT)]
    query_type = CORE.query_type
    assert query_type is not None
    for name in query_type.fields:
        assert any(f"{name}(" in text or f"{name} {{" in text for text in texts), name


async def test_a_caller_without_a_role_has_no_access(pair: Pair) -> None:
    without_role = caller()
    body = await ask(
        pair.both,
        without_role,
        "{ runs { totalCount nodes { id } } actions { totalCount } pendingAborts { totalCount } "
        "projects { name } tasks { totalCount } viewer { grants { role } } }",
    )
    assert body["data"] == {
        "runs": {"totalCount": 0, "nodes": []},
        "actions": {"totalCount": 0},
        "pendingAborts": {"totalCount": 0},
        "projects": [],
        "tasks": {"totalCount": 0},
        "viewer": {"grants": []},
    }
    assert codes(
        await ask(pair.both, without_role, "mutation { abortRuns(input: {filter: {}}) { matched } }")
    ) == {"FORBIDDEN"}


# Writing

ID = 'id: {project: "%(project)s", domain: "d", runName: "r0", name: "a1"}'
WRITES = {
    "createAction": "createAction(input: {" + ID + ', parentName: "a0"}) { created }',
    "createActions": "createActions(input: [{" + ID + ', parentName: "a0"}]) { created }',
    "updateActionPhase": "updateActionPhase(input: {" + ID + ", phase: RUNNING, attempts: 2}) { applied }",
    "updateActionPhases": "updateActionPhases(input: [{"
    + ID
    + ", phase: RUNNING, attempts: 2}]) { applied }",
    "insertEvents": "insertEvents(events: [{"
    + ID.replace("id:", "action:")
    + ', attempt: 9, phase: RUNNING, occurredAt: "2026-01-01T00:00:00Z"}]) { inserted }',
    "appendLog": "appendLog(input: {"
    + ID.replace("id:", "action:")
    + ', lines: [{text: "x"}]}) { appended }',
    "storeArtifact": "storeArtifact(input: {"
    + ID.replace("id:", "action:")
    + ', kind: FILE, name: "x", text: "x"}) { digest }',
    "createArtifactUpload": "createArtifactUpload(input: {"
    + ID.replace("id:", "action:")
    + f', kind: FILE, name: "x", size: 1, digest: "md5:{"0" * 32}"}}) {{ expiresAt }}',
    "updateActionState": "updateActionState(" + ID + ', state: "new") { action { state } }',
    "notifyStateUpdate": "notifyStateUpdate(" + ID + ") { id { name } }",
    "markAbortAttempt": "markAbortAttempt(" + ID + ") { attemptCount }",
    "clearAbortRequest": "clearAbortRequest(" + ID + ") { action { name } }",
}
ABORTS = {
    "abortRun": 'abortRun(input: {id: {project: "%(project)s", domain: "d", name: "r0"}}) { requested }',
    "abortAction": "abortAction(input: {" + ID + "}) { requested }",
    "abortRuns": 'abortRuns(input: {filter: {project: "%(project)s"}, dryRun: false}) { requested }',
    "retryAbort": "retryAbort(" + ID + ") { requested }",
}
NOTES = {
    "addNote": "addNote(input: {" + ID.replace("id:", "action:") + ', text: "seen"}) { text }',
}
ITEM_BY_ITEM = {
    "report": "report(reports: [{" + ID + ", attempt: 2, phase: RUNNING}]) { results { error { code } } }",
    "renewLease": 'renewLease(runs: [{project: "%(project)s", domain: "d", name: "r0"}], executor: "e", '
    "ttlSeconds: 60) { results { error { code } } }",
}
"""Mutations that answer for each item: what is forbidden is an error of that item."""
BY_AUTHOR = {"updateNote", "deleteNote"}
"""Mutations that depend on who wrote something: see tests/graph/schema/test_note_api.py."""
MAY = {
    Role.VIEWER: set[str](),
    Role.OPERATOR: {*ABORTS, *NOTES},
    Role.WRITER: {*WRITES, *NOTES},
    Role.ADMIN: {*ABORTS, *WRITES, *NOTES},
}


def test_every_mutation_is_covered() -> None:
    mutations = CORE.mutation_type
    assert mutations is not None
    assert set(mutations.fields) == {*WRITES, *ABORTS, *NOTES, *ITEM_BY_ITEM, *BY_AUTHOR}


def cases() -> Iterator[tuple[str, Role, str, bool]]:
    """Each mutation by each role on each project, and whether it is allowed."""
    for name in (*WRITES, *ABORTS, *NOTES):
        for role in Role:
            for project in ("ours", "theirs"):
                yield name, role, project, project == "ours" and name in MAY[role]


@pytest.fixture
async def both(repository: ActionRepo) -> ActionRepo:
    """A run of each tenant, of which one action is being aborted."""
    for run in (OURS, THEIRS):
        await make_run(repository, run, a1="a0", a2="a0")
        await repository.abort_action(action("a1", run), "why", None)
    return repository


async def test_each_role_permits_its_mutations_in_its_project_only(both: ActionRepo) -> None:
    for case in cases():
        name, role, project, allowed = case
        before = await _everything(both)
        query = {**WRITES, **ABORTS, **NOTES}[name] % {"project": project}
        body = await ask(both, caller(Grant(role, "ours", "d")), f"mutation {{ {query} }}")
        if allowed:
            assert "errors" not in body, (case, body)
        else:
            assert codes(body) == {"FORBIDDEN"}, (case, body)
            assert await _everything(both) == before, case


@pytest.mark.parametrize("name", ITEM_BY_ITEM)
@pytest.mark.parametrize("role", Role)
async def test_each_item_has_its_own_permission(both: ActionRepo, name: str, role: Role) -> None:
    for project in ("ours", "theirs", "nowhere"):
        query = ITEM_BY_ITEM[name] % {"project": project}
        before = await _everything(both)
        body = await ask(both, caller(Grant(role, "ours", "d")), f"mutation {{ {query} }}")
        (result,) = body["data"][name]["results"]
        if project == "ours" and role in (Role.WRITER, Role.ADMIN):
            assert result["error"] is None
        else:
            assert result["error"] == {"code": "FORBIDDEN"}
            assert await _everything(both) == before


async def test_forbidden_does_not_reveal_whether_something_exists(both: ActionRepo) -> None:
    writer = caller(Grant(Role.ADMIN, "ours"))
    for name, text in {**WRITES, **ABORTS, **NOTES}.items():
        answers = []
        for project in ("theirs", "nowhere"):
            body = await ask(both, writer, f"mutation {{ {text % {'project': project}} }}")
            answers.append(json.dumps(body["errors"]).replace(project, "…"))
        assert answers[0] == answers[1], name


async def test_a_batch_with_one_forbidden_action_changes_nothing(both: ActionRepo) -> None:
    before = await _everything(both)
    batch = [
        f"{{{ID % {'project': project}}, phase: RUNNING, attempts: 5}}" for project in ("ours", "theirs")
    ]
    body = await ask(
        both,
        caller(Grant(Role.WRITER, "ours")),
        f"mutation {{ updateActionPhases(input: [{', '.join(batch)}]) {{ applied }} }}",
    )
    assert codes(body) == {"FORBIDDEN"}
    assert await _everything(both) == before


async def test_aborting_all_runs_aborts_only_permitted_ones(both: ActionRepo) -> None:
    may = caller(Grant(Role.VIEWER, "theirs"), Grant(Role.OPERATOR, "ours"))
    text = """mutation($dry: Boolean!) {
      abortRuns(input: {filter: {}, all: true, dryRun: $dry}) { matched requested }
    }"""
    assert (await ask(both, may, text, dry=True))["data"]["abortRuns"]["matched"] == 1
    done = (await ask(both, may, text, dry=False))["data"]["abortRuns"]
    assert (done["matched"], done["requested"]) == (1, 1)
    phases = {run.project: run.phase for run in (await both.runs.page()).items}
    assert phases == {"ours": ActionPhase.ABORTED, "theirs": ActionPhase.QUEUED}


async def test_the_creator_is_the_caller(both: ActionRepo) -> None:
    create = (
        "mutation($name: String!, $by: IdentityInput) { createAction(input: {createdBy: $by, "
        'id: {project: "ours", domain: "d", runName: "r0", name: $name}, parentName: "a0"}) '
        "{ action { createdBy { kind subject } } } }"
    )
    other_person = {"kind": "USER", "subject": "somebody"}
    writer = caller(Grant(Role.WRITER, "ours"))
    importer = caller(Grant(Role.WRITER, "ours"), acts_for_others=True)
    himself = {"kind": "APPLICATION", "subject": "ours"}
    for name, user, reported, recorded in (
        ("b1", writer, None, himself),
        ("b2", writer, other_person, himself),
        ("b3", importer, other_person, other_person),
        ("b4", importer, None, himself),
        ("b5", ANONYMOUS, other_person, other_person),
        ("b6", ANONYMOUS, None, None),
    ):
        body = await ask(both, user, create, name=name, by=reported)
        assert body["data"]["createAction"]["action"]["createdBy"] == recorded, name


async def test_the_requester_of_an_abort_is_the_caller(both: ActionRepo) -> None:
    others = RunIdentifier("ours", "d", "r1")
    await make_run(both, others)
    await both.actions.create([new("a3", "a0", OURS)])
    operator, in_ours = caller(Grant(Role.OPERATOR)), {"project": "ours"}
    an_action = ABORTS["abortAction"].replace('"a1"', '"a3"')
    for text in (ABORTS["abortRun"], an_action, ABORTS["abortRuns"]):
        body = await ask(both, operator, f"mutation {{ {text % in_ours} }}")
        assert [each["requested"] for each in body["data"].values()] in ([True], [1])
    for name, run in (("a0", OURS), ("a3", OURS), ("a0", others)):
        found = await both.get_action(action(name, run))
        assert found.abort is not None
        assert found.abort.requested_by == USERS


async def test_the_viewer_field_has_acts_for_others(both: ActionRepo) -> None:
    for acts in (True, False):
        user = caller(Grant(Role.WRITER, "ours"), acts_for_others=acts)
        assert (await ask(both, user, "{ viewer { actsForOthers } }"))["data"]["viewer"] == {
            "actsForOthers": acts
        }


async def _everything(repository: ActionRepo) -> list[Any]:
    actions = (await repository.list_actions()).items
    events = await all_events(repository, [each.identifier for each in actions])
    return [*((each.key, each.revision, each.phase, each.state) for each in actions), events]


# Watching

WATCHES = {
    "run": 'run(id: {project: "theirs", domain: "d", name: "r0"}) { name }',
    "runs": "runs { kind removed runs { project phaseCounts { count } rootAction { project } } }",
    "action": 'action(id: {project: "theirs", domain: "d", runName: "r0", name: "a0"}) { name }',
    "actions": 'actions(run: {project: "theirs", domain: "d", name: "r0"}) { kind actions { name } }',
    "events": 'events(run: {project: "theirs", domain: "d", name: "r0"}) { kind events { attempt } }',
    "logLines": 'logLines(action: {project: "theirs", domain: "d", runName: "r0", name: "a1"}, attempt: 1) '
    "{ kind lines { text } }",
    "actionStates": "actionStates { kind actions { project } }",
    "abortRequests": "abortRequests { kind removed actions { project } }",
    "abortProgress": "abortProgress(batch: $batch) { requested }",
}
OF_ALL = {"runs", "actionStates", "abortRequests"}


def test_every_subscription_is_covered() -> None:
    subscriptions = CORE.subscription_type
    assert subscriptions is not None
    assert set(subscriptions.fields) == set(WATCHES)


async def _stream(repository: ActionRepo, user: Caller, query: str, **variables: Any) -> Any:
    context = Context(repository.on_behalf_of(user.access), user, 1000)
    return await ENGINE.stream(OperationRequest(query, variables or None), context)


@pytest.mark.parametrize("name", sorted(set(WATCHES) - OF_ALL))
async def test_subscriptions_to_things_of_another_tenant_are_not_found(both: ActionRepo, name: str) -> None:
    batch = (await both.aborts.abort_runs(RunFilter(project=THEIRS.project), None, None, dry_run=False)).batch
    head, arguments = ("($batch: ID!)", {"batch": batch}) if name == "abortProgress" else ("", {})
    reader = caller(Grant(Role.ADMIN, "ours"))
    async with asyncio.timeout(SECONDS):
        async with aclosing(
            await _stream(both, reader, f"subscription{head} {{ {WATCHES[name]} }}", **arguments)
        ) as results:
            (result,) = [each async for each in results]
    assert result.data is None
    assert [error.extensions["code"] for error in result.errors] == ["NOT_FOUND"]


@pytest.mark.parametrize("name", sorted(OF_ALL))
async def test_subscriptions_to_lists_send_only_permitted_rows(both: ActionRepo, name: str) -> None:
    query = f"subscription {{ {WATCHES[name]} }}"
    reader = caller(Grant(Role.ADMIN, "ours"))
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(SECONDS):
        async with aclosing(await _stream(both, reader, query)) as results:
            async for result in results:
                assert not result.errors, result.errors
                frame = orjson.loads(encode(formatted(result)))["data"][name]
                seen.append(frame)
                if frame["kind"] == "SYNCED":
                    await _write(both, THEIRS)
                    await both.abort_run(THEIRS, None, None)
                    await _write(both, OURS)
                elif frame["kind"] == "CHANGE":
                    break
    text = json.dumps(seen)
    assert "ours" in text
    assert "theirs" not in text
    assert all(frame.get("removed", []) == [] for frame in seen)


async def _write(repository: ActionRepo, run: RunIdentifier) -> None:
    await repository.update_action_state(action("a2", run), "new")
    await repository.abort_action(action("a2", run), None, None)
    await repository.update_action_phase(action("a0", run), ActionPhase.RUNNING, 1)


async def test_abort_requests_need_the_permission_to_confirm(both: ActionRepo) -> None:
    for role in (Role.VIEWER, Role.OPERATOR):
        query = f"subscription {{ {WATCHES['abortRequests']} }}"
        async with (
            asyncio.timeout(SECONDS),
            aclosing(await _stream(both, caller(Grant(role, "ours")), query)) as results,
        ):
            (result,) = [each async for each in results]
        assert [error.extensions["code"] for error in result.errors] == ["FORBIDDEN"]
    assert both.watches.abort_scopes == frozenset()


async def test_an_executor_subscribes_within_its_write_permissions(both: ActionRepo) -> None:
    user = caller(Grant(Role.WRITER, "ours"), Grant(Role.VIEWER, "theirs"), Grant(Role.WRITER, "more", "d"))
    view = both.on_behalf_of(user.access)
    for project, domain, scopes in (
        (None, None, {("ours", None), ("more", "d")}),
        (None, "d", {("ours", "d"), ("more", "d")}),
        ("ours", None, {("ours", None)}),
    ):
        async with aclosing(view.watches.watch_abort_requests(project, domain)) as frames:
            await anext(frames)
            assert set(both.watches.abort_scopes) == scopes


async def test_a_caller_with_all_permissions_reads_without_conditions(both: ActionRepo) -> None:
    assert both.on_behalf_of(FULL_ACCESS) is both
    body = await ask(
        both, caller(Grant(Role.ADMIN)), "{ runs { nodes { project } } viewer { actsForOthers } }"
    )
    assert sorted(each["project"] for each in body["data"]["runs"]["nodes"]) == ["ours", "theirs"]
