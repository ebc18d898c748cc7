"""Artifacts by the API: storing small ones, reading them with their actions, and downloading them."""

import base64
import json
import time
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from graph.auth import artifact_urls
from tests.support.client import GraphQLClient

ACTION = {"project": "etl", "domain": "production", "runName": "nightly-1", "name": "a0"}
CREATE = "mutation ($id: ActionIdentifierInput!) { createAction(input: {id: $id}) { created } }"
FIELDS = "attempt kind name mediaType digest size createdAt url json text"
STORE = f"mutation ($input: StoreArtifactInput!) {{ storeArtifact(input: $input) {{ {FIELDS} }} }}"
READ = f"""query ($id: ActionIdentifierInput!, $attempt: Int, $kinds: [ArtifactKind!], $last: Int) {{
  action(id: $id) {{ artifacts(attempt: $attempt, kinds: $kinds, last: $last) {{ {FIELDS} }} }}
}}"""


@pytest.fixture
async def action(client: GraphQLClient) -> dict[str, str]:
    assert (await client.execute(CREATE, {"id": ACTION}))["data"]
    return ACTION


async def store(client: GraphQLClient, **values: Any) -> dict[str, Any]:
    input = {"action": ACTION, "kind": "FILE", "name": "x"} | values
    body = await client.execute(STORE, {"input": input})
    assert "errors" not in body, body
    stored: dict[str, Any] = body["data"]["storeArtifact"]
    return stored


async def refusal(client: GraphQLClient, **values: Any) -> tuple[str, str]:
    input = {"action": ACTION, "kind": "FILE", "name": "x"} | values
    (error,) = (await client.execute(STORE, {"input": input}))["errors"]
    return error["extensions"]["code"], error["message"]


async def listed(client: GraphQLClient, **criteria: Any) -> list[dict[str, Any]]:
    body = await client.execute(READ, {"id": ACTION, **criteria})
    assert "errors" not in body, body
    found: list[dict[str, Any]] = body["data"]["action"]["artifacts"]
    return found


@pytest.mark.usefixtures("action")
async def test_artifacts_are_stored_and_read_with_their_action(client: GraphQLClient) -> None:
    value = {"b": 1, "a": [1.5, None, "é"]}
    inputs = await store(client, kind="INPUTS", name="inputs", json=value)
    assert (inputs["mediaType"], inputs["json"]) == ("application/json", value)
    assert inputs["text"] == '{"b":1,"a":[1.5,null,"é"]}'
    table = await store(client, name="figures/t.csv", text="a,b\n1,é\n")
    assert (table["mediaType"], table["json"], table["text"]) == ("text/csv", None, "a,b\n1,é\n")
    image = await store(client, name="p.png", base64=base64.b64encode(b"\x89PNG\0").decode(), attempt=2)
    assert (image["mediaType"], image["size"], image["json"], image["text"]) == ("image/png", 5, None, None)
    plain = await store(client, kind="REPORT", name="notes", text="hello")
    assert plain["mediaType"] == "text/plain; charset=utf-8"
    assert await listed(client) == [inputs, plain, table, image]
    assert await listed(client, attempt=1, kinds=["INPUTS", "FILE"]) == [inputs, table]
    assert await listed(client, last=1) == [image]


@pytest.mark.usefixtures("action")
async def test_text_that_is_none_or_too_long_is_null(client: GraphQLClient) -> None:
    stored = await store(client, mediaType="application/json", text="no JSON")
    assert (stored["json"], stored["text"]) == (None, "no JSON")
    stored = await store(client, mediaType="text/plain", base64=base64.b64encode(b"\xff").decode())
    assert stored["text"] is None
    assert (await store(client, name="l", text="x" * 65536))["text"] == "x" * 65536
    assert (await store(client, name="l", text="x" * 65537))["text"] is None
    assert (await store(client, name="l", json="x" * 65536))["json"] is None


@pytest.mark.usefixtures("action")
async def test_invalid_artifacts_are_refused(client: GraphQLClient) -> None:
    for values, text in (
        ({}, "exactly one"),
        ({"text": "a", "json": 1}, "exactly one"),
        ({"base64": "a"}, "base64"),
        ({"base64": "YQ==\n"}, "base64"),
        ({"text": "a", "mediaType": "text"}, "mediaType"),
        ({"text": "a", "name": ""}, "empty"),
        ({"text": "a" * (1024 * 1024 + 1)}, "createArtifactUpload"),
        ({"text": "a", "createdAt": "2999-01-01T00:00:00Z"}, "createdAt"),
    ):
        code, message = await refusal(client, **values)
        assert code == "BAD_USER_INPUT"
        assert text in message
    code, _ = await refusal(client, text="a", action=ACTION | {"name": "none"})
    assert code == "NOT_FOUND"
    assert await listed(client) == []


@pytest.mark.usefixtures("action")
async def test_a_download_needs_no_credential_and_supports_ranges_and_etags(client: GraphQLClient) -> None:
    stored = await store(client, name="d/é t.txt", text="0123456789" * 1000)
    response = await client.get(stored["url"])
    assert (response.status_code, response.text) == (200, "0123456789" * 1000)
    headers = response.headers
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["content-disposition"] == "inline; filename*=UTF-8''%C3%A9%20t.txt"
    assert headers["etag"] == f'"{stored["digest"].removeprefix("sha256:")}"'
    assert headers["cache-control"].startswith("private")
    assert headers["content-length"] == "10000"
    for sent, start, end in (
        ("bytes=0-4", 0, 5),
        ("bytes=9990-", 9990, 10000),
        ("bytes=-3", 9997, 10000),
        ("bytes=5-99999", 5, 10000),
    ):
        response = await client.get(stored["url"], headers={"Range": sent})
        assert response.status_code == 206
        assert response.text == ("0123456789" * 1000)[start:end]
        assert response.headers["content-range"] == f"bytes {start}-{end - 1}/10000"
    for sent in ("bytes=a", "bytes=-", "bytes=1-2,4-5", "lines=1-2"):
        assert (await client.get(stored["url"], headers={"Range": sent})).status_code == 200
    response = await client.get(stored["url"], headers={"Range": "bytes=10000-"})
    assert (response.status_code, response.headers["content-range"]) == (416, "bytes */10000")
    response = await client.get(stored["url"], headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert response.status_code == 200
    response = await client.get(stored["url"], headers={"If-None-Match": headers["etag"]})
    assert (response.status_code, response.content) == (304, b"")
    response = await client.head(stored["url"])
    assert (response.status_code, response.headers["content-length"], response.content) == (200, "10000", b"")


@pytest.mark.usefixtures("action")
@pytest.mark.parametrize(
    ("media_type", "is_shown", "sandbox"),
    [
        ("text/html", True, "sandbox allow-scripts"),
        ("TEXT/HTML; charset=utf-8", True, "sandbox allow-scripts"),
        ("application/xhtml+xml", True, "sandbox allow-scripts"),
        ("image/svg+xml", True, "sandbox"),
        ("image/png", True, "sandbox"),
        ("application/json", True, "sandbox"),
        ("application/pdf", False, "sandbox"),
        ("application/x-other", False, "sandbox"),
    ],
)
async def test_nothing_that_is_downloaded_runs_in_the_origin_of_the_server(
    client: GraphQLClient, media_type: str, is_shown: bool, sandbox: str
) -> None:
    stored = await store(client, mediaType=media_type, text="<script>alert(1)</script>")
    response = await client.get(stored["url"])
    headers, policy = response.headers, response.headers["content-security-policy"].split("; ")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-disposition"].startswith("inline" if is_shown else "attachment")
    assert policy[-1] == sandbox
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert headers.get_list("x-frame-options") == ["SAMEORIGIN"]
    response = await client.get(f"{stored['url']}?download")
    assert response.headers["content-disposition"].startswith("attachment")


async def refused(client: GraphQLClient, url: str, **rest: Any) -> tuple[int, str]:
    response: httpx2.Response = await client.request(rest.pop("method", "GET"), url, **rest)
    (error,) = json.loads(response.text)["errors"]
    assert response.headers["cache-control"] == "no-store"
    return response.status_code, error["extensions"]["code"]


@pytest.mark.usefixtures("action")
@pytest.mark.parametrize("name", ["..", ".", "a/..", "/", "../../x"])
async def test_an_artifact_of_any_name_can_be_downloaded(client: GraphQLClient, name: str) -> None:
    url = (await store(client, name=name, text="content"))["url"]
    assert (await client.get(f"/{url}")).text == "content"


@pytest.mark.usefixtures("action")
async def test_altered_addresses_are_refused(client: GraphQLClient) -> None:
    url = (await store(client, text="a"))["url"]
    _, token, name = url.split("/")
    for other in (token[:-1], token + "A", token[1:], "A" * len(token), "AAAA", "é", "A" * 5000):
        assert await refused(client, f"artifacts/{other}/{name}") == (403, "SIGNATURE_INVALID")
    signed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for place in range(len(signed)):
        changed = bytearray(signed)
        changed[place] ^= 1
        other = base64.urlsafe_b64encode(changed).decode().rstrip("=")
        assert await refused(client, f"artifacts/{other}/{name}") == (403, "SIGNATURE_INVALID")
    assert await refused(client, url, method="POST") == (405, "METHOD_NOT_ALLOWED")
    # The name in the address is for people.
    assert (await client.get(f"artifacts/{token}/y")).status_code == 200


@pytest.mark.usefixtures("action")
async def test_an_address_expires(client: GraphQLClient, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = await store(client, text="a")
    now = time.time()
    for hours, status in ((0.99, 200), (2.01, 403)):
        later = SimpleNamespace(time=lambda hours=hours: now + hours * 3600)
        monkeypatch.setattr(artifact_urls, "time", later)
        assert (await client.get(stored["url"])).status_code == status
    assert await refused(client, stored["url"]) == (403, "SIGNATURE_EXPIRED")
    (again,) = await listed(client)
    assert again["url"] != stored["url"]
    assert (await client.get(again["url"])).status_code == 200


@pytest.mark.usefixtures("action")
async def test_an_address_of_what_was_replaced_is_not_found(client: GraphQLClient) -> None:
    stored = await store(client, text="a")
    again = await store(client, text="b")
    assert await refused(client, stored["url"]) == (404, "NOT_FOUND")
    assert (await client.get(again["url"])).text == "b"


@pytest.mark.usefixtures("action")
async def test_the_address_stays_the_same_for_a_while(client: GraphQLClient) -> None:
    stored = await store(client, text="a")
    (first,), (second,) = await listed(client), await listed(client)
    assert stored["url"] in (first["url"], second["url"])
