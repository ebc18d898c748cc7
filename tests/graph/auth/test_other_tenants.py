"""Names, ids, cursors and batches of another tenant reveal no more than invented ones, over HTTP and
websockets of a server process."""

import asyncio
import base64
import contextlib
import itertools
import json
import re
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest

from graph.schema.types.node_ids import id_of_action, id_of_run
from repo import ActionPhase
from tests.support.attacking import (
    OURS,
    SECONDS,
    THEIRS,
    Answer,
    Target,
)

INVENTED = ("elsewhere", "d", "no-such-run", "0" * 32)
RUN = '{project: "%(project)s", domain: "%(domain)s", name: "%(run)s"}'
ACTION = '{project: "%(project)s", domain: "%(domain)s", runName: "%(run)s", name: "a0"}'
BELOW = ACTION.replace('"a0"}', '"b"}, parentName: "a0"')
OF_OURS = '{project: "ours", domain: "d", runName: "our-run", name: "a0"}'
WHEN = 'startDate: "2020-01-01T00:00:00Z", endDate: "2100-01-01T00:00:00Z"'
PAGE = "{ totalCount pageInfo { hasNextPage hasPreviousPage } nodes { name } }"

READ = {
    "run": f"{{ run(id: {RUN}) {{ id name phaseCounts {{ count }} rootAction {{ name }} }} }}",
    "action": f"{{ action(id: {ACTION}) {{ id name phase children {{ totalCount }} }} }}",
    "actions of a run": f"{{ actions(run: {RUN}) {PAGE} }}",
    "runs of a project": f'{{ runs(filter: {{project: "%(project)s"}}) {PAGE} }}',
    "runs by a name": f'{{ runs(filter: {{search: "%(run)s"}}) {PAGE} }}',
    "runs by an order": f'{{ runs(filter: {{project: "%(project)s"}}, last: 5, '
    f"orderBy: {{field: DURATION, direction: ASC}}) {PAGE} }}",
    "tasks": '{ tasks(filter: {project: "%(project)s"}) { totalCount nodes { project runs failureRate } } }',
    "histogram": f'{{ runHistogram({WHEN}, buckets: 1, filter: {{project: "%(project)s"}}) '
    "{ phaseCounts { phase count } } }",
    "node of a run": '{ node(id: "%(run_id)s") { id } }',
    "node of an action": '{ node(id: "%(action_id)s") { id } }',
    "node of an event": '{ node(id: "%(event_id)s") { id } }',
}
WRITE = {
    "create what may exist": f"createAction(input: {{id: {ACTION}}}) {{ created action {{ phase }} }}",
    "create below what may exist": f"createAction(input: {{id: {BELOW}}}) {{ created }}",
    "create both": f"createActions(input: [{{id: {OF_OURS}}}, {{id: {ACTION}}}]) {{ created }}",
    "create both the other way": f"createActions(input: [{{id: {ACTION}}}, {{id: {OF_OURS}}}]) {{ created }}",
    "update": f"updateActionPhase(input: {{id: {ACTION}, phase: RUNNING, attempts: 0}}) {{ applied }}",
    "update both": f"updateActionPhases(input: [{{id: {OF_OURS}, phase: QUEUED, attempts: 0}}, "
    f"{{id: {ACTION}, phase: QUEUED, attempts: 0}}]) {{ applied }}",
    "insert both": f"insertEvents(events: [{{action: {OF_OURS}, attempt: 1, phase: QUEUED, "
    f'occurredAt: "2026-01-01T00:00:00Z"}}, {{action: {ACTION}, attempt: 1, phase: QUEUED, '
    'occurredAt: "2026-01-01T00:00:00Z"}]) { inserted duplicates }',
    "state": f'updateActionState(id: {ACTION}, state: "x") {{ action {{ state }} }}',
    "notify": f"notifyStateUpdate(id: {ACTION}) {{ id {{ name }} }}",
    "abort": f"abortRun(input: {{id: {RUN}}}) {{ requested run {{ phase }} }}",
    "abort an action": f"abortAction(input: {{id: {ACTION}}}) {{ requested }}",
    "count what to abort": 'abortRuns(input: {filter: {project: "%(project)s"}}) { matched }',
    "count what to abort by name": 'abortRuns(input: {filter: {search: "%(run)s"}}) { matched }',
    "tell of an abort": f"markAbortAttempt(id: {ACTION}) {{ attemptCount }}",
    "confirm": f"clearAbortRequest(id: {ACTION}) {{ action {{ name }} }}",
    "ask again": f"retryAbort(id: {ACTION}) {{ requested }}",
}
WATCH = {
    "run": f"run(id: {RUN}) {{ name }}",
    "action": f"action(id: {ACTION}) {{ name }}",
    "actions": f"actions(run: {RUN}, untilTerminal: true) {{ kind }}",
    "events": f"events(run: {RUN}) {{ kind }}",
    "events of an action": f'events(run: {RUN}, actionName: "a0", attempt: 1) {{ kind }}',
    "abort requests": 'abortRequests(project: "%(project)s") { kind }',
    "abort progress": 'abortProgress(batch: "%(batch)s") { requested }',
}


def words_of(project: str, domain: str, run: str, batch: str) -> dict[str, str]:
    """The words that a request contains."""
    event = ["ActionEvent", project, domain, run, "a0", 1, int(ActionPhase.RUNNING), 0]
    return {
        "project": project,
        "domain": domain,
        "run": run,
        "batch": batch,
        "run_id": id_of_run(project, domain, run),
        "action_id": id_of_action(project, domain, run, "a0"),
        "event_id": base64.urlsafe_b64encode(json.dumps(event).encode()).decode().rstrip("="),
    }


@pytest.fixture
async def batch(target: Target) -> str:
    """The batch of an abort by the other tenant, whose runs have events and states too."""
    name = f"their-canary-{secrets.token_hex(4)}"
    run = ACTION % {"project": THEIRS.project, "domain": THEIRS.domain, "run": name}
    their_own = ACTION % {"project": THEIRS.project, "domain": THEIRS.domain, "run": THEIRS.name}
    writes = f"""mutation {{
      createAction(input: {{id: {run}}}) {{ created }}
      insertEvents(events: [{{action: {their_own}, attempt: 1, phase: RUNNING,
        occurredAt: "2026-01-01T00:00:00Z"}}]) {{ inserted }}
      updateActionState(id: {their_own}, state: "canary") {{ action {{ name }} }}
      abortRuns(input: {{filter: {{search: "{name}"}}, dryRun: false}}) {{ batch }}
    }}"""
    answer = (await target.execute(writes, target.tokens.theirs)).json()["data"]
    target.received.clear()  # responses to the other tenant
    assert answer["createAction"]["created"]
    return str(answer["abortRuns"]["batch"])


def content(answer: Answer, words: dict[str, str]) -> tuple[Any, ...]:
    """All of a response, without the words of the request."""
    body = answer.body.decode()
    for name, word in words.items():
        body = body.replace(word, name)
    about = {name: value for name, value in answer.headers.items() if name not in _OF_THIS_ANSWER}
    return answer.status, about, re.sub(r'"(line|column)":\d+', "", body)


_OF_THIS_ANSWER = {"x-request-id", "date", "content-length"}


def requests() -> Iterator[tuple[str, str]]:
    """The requests by name."""
    yield from READ.items()
    yield from ((name, f"mutation {{ {text} }}") for name, text in WRITE.items())
    yield from ((f"watch {name}", f"subscription {{ {text} }}") for name, text in WATCH.items())


@pytest.mark.parametrize(("name", "text"), list(requests()))
async def test_names_of_another_tenant_get_the_same_response_as_invented_names(
    target: Target, batch: str, name: str, text: str
) -> None:
    known = words_of(THEIRS.project, THEIRS.domain, THEIRS.name, batch)
    invented = words_of(*INVENTED)
    accept = "text/event-stream" if text.startswith("subscription") else "application/json"
    for token in (target.tokens.admin, target.tokens.writer, target.tokens.viewer):
        answers = []
        for words in (known, invented):
            headers = {"Authorization": f"Bearer {token}", "Accept": accept}
            answer = await target.send(json={"query": text % words}, headers=headers)
            answers.append(content(answer, words))
        assert answers[0] == answers[1], name
        assert not re.search("GRAPHQL_|BAD_", answers[0][2]), "it was not even executed"
    target.received.clear()  # names that came back to who sent them


# Cursors of streams

RECEIVED = {
    "runs": "runs(after: $after) { kind cursor removed runs { project } }",
    "actionStates": "actionStates(after: $after) { kind cursor actions { project } }",
    "events": f"events(after: $after, run: {RUN}) {{ kind cursor events {{ action {{ project }} }} }}",
}
STATE = f'mutation {{ updateActionState(id: {OF_OURS}, state: "x") {{ action {{ name }} }} }}'
EVENT = f"""mutation ($version: Int!) {{ insertEvents(events: [{{action: {OF_OURS}, attempt: 1, phase: QUEUED,
  version: $version, occurredAt: "2026-01-01T00:00:00Z"}}]) {{ inserted }} }}"""


async def cursors_of_others(target: Target, query: str) -> list[str]:
    """Cursors of their stream, and modified ones."""
    cursors = []
    async with target.socket(target.tokens.theirs) as socket:
        await socket.subscribe("a", query)
        frame = {"kind": ""}
        while frame["kind"] != "SYNCED":
            frame = await socket.data("a")
            cursors.append(frame["cursor"])
    target.received.clear()  # responses to the other tenant
    incarnation, log_end, upper, opened, _ = json.loads(base64.urlsafe_b64decode(cursors[-1] + "=="))
    for at, page in ((0, None), (upper, "AAAA"), (0, "AAAA")):
        forged = json.dumps([incarnation, min(at, log_end), at, opened, page]).encode()
        cursors.append(base64.urlsafe_b64encode(forged).decode().rstrip("="))
    return cursors


@pytest.mark.parametrize("name", RECEIVED)
async def test_a_stream_resumed_from_a_cursor_of_another_tenant_sends_only_one_s_own(
    target: Target, batch: str, name: str
) -> None:
    theirs, ours = (
        f"subscription ($after: String) {{ {RECEIVED[name]} }}"
        % {"project": run.project, "domain": run.domain, "run": run.name}
        for run in (THEIRS, OURS)
    )
    versions = itertools.count(1 + time.time_ns() % 2**30)
    for cursor in await cursors_of_others(target, theirs):
        async with target.socket() as socket, asyncio.timeout(SECONDS):
            await socket.subscribe("a", ours, variables={"after": cursor})
            seen: set[str] = set()
            while not seen:
                await target.execute(STATE)
                await target.execute(EVENT, version=next(versions))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        while not seen:
                            message = await socket.next()
                            if message["type"] == "error":  # nobody gave out this one
                                assert message["payload"][0]["extensions"]["code"] == "BAD_USER_INPUT"
                                seen = {OURS.project}
                                continue
                            (frame,) = message["payload"]["data"].values()
                            assert frame.get("removed", []) == []
                            seen = set(_PROJECT.findall(json.dumps(frame)))
            assert seen == {OURS.project}


_PROJECT = re.compile(r'"project": "([^"]*)"')
