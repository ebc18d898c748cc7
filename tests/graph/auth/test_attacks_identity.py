"""Attacks with forged, stolen and guessed tokens, cookies, ids and cursors.

test_authentication.py, test_oidc.py and test_tenants.py test the rules one by one.
"""

import asyncio
import base64
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graph.schema.types.node_ids import id_of_action, id_of_run
from tests.support.attacking import (
    OURS,
    THEIRS,
    Answer,
    Target,
    attacked,
    bearer,
)
from tests.support.databases import Databases

READ = "{ runs { nodes { name } } }"
NODE = "query ($id: ID!) { node(id: $id) { id __typename ... on Run { name } ... on Action { name state } } }"
PAGE = """query ($after: String) { runs(first: 1, after: $after, orderBy: {field: CREATED_AT}) {
  nodes { name } pageInfo { endCursor } } }"""
LARGE = base64.urlsafe_b64encode(os.urandom(45)).decode().rstrip("=")


def token_of(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    """A JSON Web Token that anyone can create."""
    parts = json.dumps(header).encode(), json.dumps(payload).encode(), signature
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


CLAIMS = {
    "sub": "admin",
    "iss": "https://login.example.com",
    "aud": "rungraph",
    "exp": 2**40,
    "role": "admin",
}
CREDENTIALS = {
    "nothing": {},
    "an empty header": {"Authorization": ""},
    "no token": {"Authorization": "Bearer"},
    "another scheme": {"Authorization": "Basic YWRtaW46YWRtaW4="},
    "an unknown token": bearer("rg_" + "A" * 43),
    "a long token": bearer("rg_" + "A" * 15_000),
    "not ASCII": {"Authorization": b"Bearer rg_\xff\xfe"},
    "a JWT without a signature": bearer(token_of({"alg": "none"}, CLAIMS)),
    "a JWT signed with a secret": bearer(token_of({"alg": "HS256"}, CLAIMS, b"x" * 32)),
    "a JWT that names its own key": bearer(
        token_of(
            {"alg": "RS256", "jku": "https://evil.example.com/keys", "kid": "../../etc/passwd"}, CLAIMS, b"x"
        )
    ),
    "an empty JWT": bearer(".."),
    "a statement": bearer("' OR 1=1 --"),
    "a pattern": bearer("rg_" + "%" * 43),
    "a cookie with an unknown token": {"Cookie": "rungraph=rg_" + "A" * 43},
    "an empty cookie": {"Cookie": "rungraph="},
    "many cookies": {"Cookie": "; ".join(f"c{i}=x" for i in range(2_000))},
}


def refused(answer: Answer) -> None:
    """The response is a 401 without a specific reason."""
    assert (answer.status, answer.codes) == (401, {"UNAUTHENTICATED"}), answer.body


@pytest.mark.parametrize("name", CREDENTIALS)
async def test_forged_credentials_are_refused(target: Target, name: str) -> None:
    refused(await target.send(json={"query": READ}, headers=CREDENTIALS[name]))


@pytest.mark.parametrize("which", ["expired", "revoked"])
async def test_expired_and_revoked_credentials_are_refused(target: Target, which: str) -> None:
    token = getattr(target.tokens, which)
    refused(await target.execute(READ, token))
    refused(await target.send(json={"query": READ}, headers={"Cookie": f"rungraph={token}"}))
    for wrong in (token[:-1], token + "A", token.swapcase(), f" {token[:-1]}B"):
        refused(await target.execute(READ, wrong))


async def test_all_invalid_credentials_get_the_same_response(target: Target) -> None:
    tokens = target.tokens
    answers = [
        await target.execute(READ, each) for each in (tokens.expired, tokens.revoked, "rg_" + "B" * 43)
    ]
    assert len({answer.body for answer in answers}) == 1


async def test_two_session_cookies_are_refused(target: Target) -> None:
    """A neighbouring site that can set the cookie could make users act as another caller."""
    ours, theirs = (f"rungraph={each}" for each in (target.tokens.session, target.tokens.their_session))
    for cookies in (f"{ours}; {theirs}", f"{theirs}; {ours}"):
        answer = await target.send(json={"query": READ}, headers={"Cookie": cookies})
        refused(answer)
    answer = await target.send(json={"query": READ}, headers={"Cookie": f"x-{theirs}; {ours}; rungraph="})
    assert {"name": "our-run"} in answer.json()["data"]["runs"]["nodes"]
    # An invalid header does not fall back to the cookie.
    wrong = {**bearer("rg_" + "C" * 43), "Cookie": ours}
    refused(await target.send(json={"query": READ}, headers=wrong))


async def test_ids_of_another_tenant_are_not_found(target: Target) -> None:
    stolen = [
        id_of_run(THEIRS.project, THEIRS.domain, THEIRS.name),
        id_of_action(THEIRS.project, THEIRS.domain, THEIRS.name, "a0"),
    ]
    nobodys = [id_of_run("x", "d", "x"), id_of_action("x", "d", "x", "a0")]
    for one, other in zip(stolen, nobodys, strict=True):
        answers = [(await target.execute(NODE, id=id)).json() for id in (one, other)]
        assert answers[0].get("data") == answers[1].get("data") == {"node": None}
        assert [error.get("extensions") for error in answers[0].get("errors", ())] == [
            error.get("extensions") for error in answers[1].get("errors", ())
        ]
    target.received.clear()  # errors may repeat requested names


async def test_tampered_ids_are_not_found(target: Target) -> None:
    id = id_of_run(OURS.project, OURS.domain, OURS.name)
    assert (await target.execute(NODE, id=id)).json()["data"]["node"]["name"] == OURS.name
    texts = [
        *("", "=", "!", "A", id[:-1], id + "A", id.swapcase(), "\0", "é", "../" * 20, "1", "' OR 1=1"),
        *(f"{kind}:1" for kind in ("Run", "Action", "Credential")),
        *(
            base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
            for value in (
                [],
                ["Run"],
                ["Run", "ours", "d"],
                ["Run", "ours", "d", "our-run", "x"],
                ["Run", ["ours"], "d", "our-run"],
                ["Credential", "1"],
                ["ActionEvent", "ours", "d", "our-run", "a0", 2**70, 1, 1],
                ["ActionEvent", "ours", "d", "our-run", "a0", 1, 99, 1],
                ["Run", "ours\0", "d", "our-run"],
                ["Run", "\ud800", "d", "our-run"],
                ["Run", "o" * 10_000, "d", "our-run"],
                {"Run": 1},
                None,
            )
        ),
    ]
    for text in texts:
        answer = (await target.execute(NODE, id=text)).json()
        assert (answer.get("data") or {"node": None})["node"] is None, text


async def test_a_cursor_of_another_tenant_or_list_reveals_nothing(target: Target) -> None:
    theirs = (await target.execute(PAGE, target.tokens.theirs)).json()["data"]["runs"]["pageInfo"][
        "endCursor"
    ]
    target.received.clear()  # responses to the other tenant
    answer = await target.execute(PAGE, after=theirs)
    assert {node["name"] for node in answer.json()["data"]["runs"]["nodes"]} <= {OURS.name}
    query = """query ($after: String) { actions(first: 5, after: $after,
                 run: {project: "ours", domain: "d", name: "our-run"}) { nodes { name } } }"""
    for text in (theirs[:-3], theirs + "AAAA", theirs.swapcase(), "A" * 50, "\0", theirs[::-1]):
        assert (await target.execute(PAGE, after=text)).codes <= {"BAD_USER_INPUT"}
        assert (await target.execute(query, after=text)).codes <= {
            "BAD_USER_INPUT",
            "GRAPHQL_VALIDATION_FAILED",
        }


async def test_guessing_tokens_is_rate_limited_by_address(target: Target) -> None:
    began = time.monotonic()
    answers = [await target.execute(READ, f"rg_{number:043}") for number in range(60)]
    statuses = [answer.status for answer in answers]
    assert set(statuses) <= {401, 429}
    assert statuses.count(401) <= 25 or time.monotonic() - began > 30
    assert 429 in statuses
    # Another client is served meanwhile: see `checked`.
    assert (await target.send("GET", "/livez", headers={})).status == 200


async def test_a_viewer_cannot_change_anything(target: Target) -> None:
    id = '{project: "%s", domain: "d", runName: "x", name: "a"}'
    create = f"mutation {{ createAction(input: {{id: {id}}}) {{ created }} }}"
    for query in (
        'mutation { abortRun(input: {id: {project: "ours", domain: "d", name: "our-run"}}) { requested } }',
        create % "ours",
        create % "elsewhere",
    ):
        assert (await target.execute(query, target.tokens.viewer)).codes == {"FORBIDDEN"}


# Errors


@pytest.fixture
def broken(databases: Databases, database_url: str, tmp_path: Path) -> Iterator[tuple[Target, Path]]:
    """A server and the file of its database."""
    with attacked(database_url, tmp_path) as target:
        yield target, Path(database_url.removeprefix("sqlite:///"))


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_errors_of_a_broken_database_reveal_nothing(broken: tuple[Target, Path]) -> None:
    target, file = broken
    assert (await target.execute(READ)).codes == set()
    with sqlite3.connect(file) as database:
        database.execute("ALTER TABLE actions RENAME TO actions_gone")
        database.execute("UPDATE alembic_version SET version_num = 'unknown'")
    database.close()
    await asyncio.sleep(0)
    answers = [
        await target.execute(READ),
        await target.execute(NODE, id=id_of_run("ours", "d", "our-run")),
        await target.send("GET", "/readyz", headers={}),
    ]
    assert answers[-1].status == 503
    for text in target.received:
        for word in (
            b"actions_gone",
            b"no such table",
            b"SELECT",
            b"sqlite",
            b"alembic",
            b"Traceback",
            b".py",
        ):
            assert word.lower() not in text.lower(), text
        assert str(file).encode() not in text
