"""Uploads by signed addresses to a real server: refusals before and while the body is read, interruptions,
slow bodies, replicas, and memory."""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.applications import Starlette

from graph.app import create_app
from graph.auth import artifact_urls
from graph.settings import Settings
from graph.web import artifacts as endpoint
from repo import (
    Access,
    CredentialKind,
    Grant,
    Identity,
    IdentityKind,
    Role,
    migrate,
    open_repository,
)
from tests.support.client import GraphQLClient
from tests.support.serving import serving

ACTION = {"project": "etl", "domain": "production", "runName": "nightly-1", "name": "a0"}
CREATE = "mutation ($id: ActionIdentifierInput!) { createAction(input: {id: $id}) { created } }"
ANNOUNCE = """mutation ($input: ArtifactUploadInput!) {
  createArtifactUpload(input: $input) { url expiresAt headers { name value } }
}"""
READ = """query ($id: ActionIdentifierInput!) {
  action(id: $id) { artifacts { name mediaType digest size url createdAt text } }
}"""
LARGE = bytes(range(256)) * 8192
"""2 MiB."""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def app(database_url: str, store: Path) -> Starlette:
    return create_app(Settings(database_url=database_url, artifact_store=f"file://{store}"))


@pytest.fixture
def server(app: Starlette) -> Iterator[str]:
    with serving(app, request_timeout=1.0) as url:
        yield url


@pytest.fixture
async def api(server: str) -> AsyncIterator[GraphQLClient]:
    async with GraphQLClient(base_url=server, timeout=60) as client:
        assert (await client.execute(CREATE, {"id": ACTION}))["data"]
        yield client


async def announce(api: GraphQLClient, content: bytes = LARGE, **values: Any) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    input = {"action": ACTION, "kind": "FILE", "name": "x.bin", "size": len(content), "digest": digest}
    body = await api.execute(ANNOUNCE, {"input": input | values})
    assert "errors" not in body, body
    upload: dict[str, Any] = body["data"]["createArtifactUpload"]
    return upload


async def listed(api: GraphQLClient) -> list[dict[str, Any]]:
    body = await api.execute(READ, {"id": ACTION})
    found: list[dict[str, Any]] = body["data"]["action"]["artifacts"]
    return found


def files(store: Path) -> list[str]:
    return [each.name for each in store.rglob("*") if each.is_file()]


def refusal(response: httpx2.Response) -> tuple[int, str]:
    (error,) = json.loads(response.text)["errors"]
    assert error["message"]
    return response.status_code, error["extensions"]["code"]


@pytest.mark.parametrize("size", [0, 5000, len(LARGE)])
async def test_an_artifact_is_uploaded_and_downloaded(api: GraphQLClient, size: int) -> None:
    content = LARGE[:size]
    upload = await announce(api, content, name="d/x.csv", createdAt="2026-01-02T03:04:05Z")
    assert upload["headers"] == [{"name": "Content-Type", "value": "text/csv"}]
    response = await api.put(upload["url"], content=content)
    assert (response.status_code, response.json()["size"]) == (200, size)
    (stored,) = await listed(api)
    assert stored["digest"] == response.json()["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert (stored["mediaType"], stored["createdAt"]) == ("text/csv", "2026-01-02T03:04:05Z")
    response = await api.get(stored["url"])
    assert response.content == content
    if size:
        response = await api.get(stored["url"], headers={"Range": "bytes=-10"})
        assert response.content == content[-10:]
    # Repeated.
    assert (await api.put(upload["url"], content=content)).status_code == 200
    assert await listed(api) == [stored]


async def test_a_client_that_knows_only_md5_sends_content_md5(api: GraphQLClient) -> None:
    digest = hashlib.md5(LARGE)
    upload = await announce(api, digest=f"md5:{digest.hexdigest()}")
    headers = {each["name"]: each["value"] for each in upload["headers"]}
    assert headers["Content-MD5"] == base64.b64encode(digest.digest()).decode()
    other = {"Content-MD5": base64.b64encode(bytes(16)).decode()}
    assert refusal(await api.put(upload["url"], content=LARGE, headers=other)) == (422, "DIGEST_MISMATCH")
    response = await api.put(upload["url"], content=LARGE, headers=headers)
    assert response.json()["digest"] == f"sha256:{hashlib.sha256(LARGE).hexdigest()}"


async def test_uploads_need_no_credential_but_the_address(
    database_url: str, store: Path, app: Starlette
) -> None:
    """With tokens required, the address alone is enough, and only callers that may write get one."""
    settings = Settings(database_url=database_url, artifact_store=f"file://{store}", auth="token")
    async with open_repository(database_url) as repository:
        tokens = {}
        for name, grant in (
            ("writer", Grant(Role.WRITER, "etl")),
            ("viewer", Grant(Role.VIEWER, "etl")),
            ("other", Grant(Role.ADMIN, "other")),
        ):
            identity = Identity(IdentityKind.APPLICATION, name)
            access = Access(frozenset({grant}))
            _, tokens[name] = await repository.credentials.create(
                CredentialKind.TOKEN, name, identity, access
            )
    with serving(create_app(settings)) as url:
        async with GraphQLClient(base_url=url, timeout=60) as api:
            api.headers["Authorization"] = f"Bearer {tokens['writer']}"
            assert (await api.execute(CREATE, {"id": ACTION}))["data"]
            upload = await announce(api)
            for name in ("viewer", "other"):
                api.headers["Authorization"] = f"Bearer {tokens[name]}"
                input = {
                    "action": ACTION,
                    "kind": "FILE",
                    "name": "x",
                    "size": 1,
                    "digest": "md5:" + "0" * 32,
                }
                (error,) = (await api.execute(ANNOUNCE, {"input": input}))["errors"]
                assert error["extensions"]["code"] == "FORBIDDEN"
            del api.headers["Authorization"]
            assert (await api.put(upload["url"], content=LARGE)).status_code == 200
            api.headers["Authorization"] = f"Bearer {tokens['other']}"
            assert (await api.execute(READ, {"id": ACTION}))["data"]["action"] is None
            api.headers["Authorization"] = f"Bearer {tokens['viewer']}"
            (stored,) = await listed(api)
            del api.headers["Authorization"]
            assert (await api.get(stored["url"])).content == LARGE


async def test_refused_uploads_store_nothing(api: GraphQLClient, store: Path) -> None:
    upload = await announce(api)
    url, put = upload["url"], api.put

    async def chunked(content: bytes) -> AsyncIterator[bytes]:
        yield content[:1000]
        yield content[1000:]

    assert refusal(await put(url, content=LARGE + b"x")) == (413, "PAYLOAD_TOO_LARGE")
    assert refusal(await put(url, content=LARGE[:-1])) == (422, "DIGEST_MISMATCH")
    assert refusal(await put(url, content=LARGE[:-1] + b"x")) == (422, "DIGEST_MISMATCH")
    assert refusal(await put(url, content=chunked(LARGE + b"x"))) == (422, "DIGEST_MISMATCH")
    assert refusal(await put(url, content=chunked(LARGE[:-1]))) == (422, "DIGEST_MISMATCH")
    gzip = {"Content-Encoding": "gzip"}
    assert refusal(await put(url, content=LARGE, headers=gzip)) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert refusal(await api.get(url)) == (405, "METHOD_NOT_ALLOWED")
    assert refusal(await api.post(url, content=LARGE)) == (405, "METHOD_NOT_ALLOWED")
    assert (await listed(api), files(store)) == ([], [])
    response = await put(url, content=chunked(LARGE))
    assert response.status_code == 200
    # A token of one purpose is not one of another.
    (stored,) = await listed(api)
    token = stored["url"].split("/")[1]
    assert refusal(await put(f"artifacts/uploads/{token}", content=LARGE)) == (403, "SIGNATURE_INVALID")
    token = url.rpartition("/")[2]
    assert refusal(await api.get(f"artifacts/{token}/x")) == (403, "SIGNATURE_INVALID")


async def test_altered_foreign_and_expired_addresses_are_refused(
    api: GraphQLClient, store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = (await announce(api))["url"]
    token = url.rpartition("/")[2]
    signed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for place in range(0, len(signed), 7):
        changed = bytearray(signed)
        changed[place] ^= 1
        other = base64.urlsafe_b64encode(changed).decode().rstrip("=")
        response = await api.put(f"artifacts/uploads/{other}", content=b"x")
        assert refusal(response) == (403, "SIGNATURE_INVALID")
    # Of another server.
    database = f"sqlite:///{tmp_path}/other.db"
    await migrate(database)
    with serving(create_app(Settings(database_url=database))) as elsewhere:
        async with httpx2.AsyncClient(base_url=elsewhere) as client:
            assert refusal(await client.put(url, content=LARGE)) == (403, "SIGNATURE_INVALID")
    now = time.time()
    later = SimpleNamespace(time=lambda: now + 3601)
    monkeypatch.setattr(artifact_urls, "time", later)
    assert refusal(await api.put(url, content=LARGE)) == (403, "SIGNATURE_EXPIRED")
    assert (await listed(api), files(store)) == ([], [])


async def test_a_refusal_comes_before_the_body(api: GraphQLClient, server: str) -> None:
    upload = await announce(api)
    for path, length, status in (
        (upload["url"], len(LARGE) + 1, b"413"),
        (f"{upload['url']}x", len(LARGE), b"403"),
    ):
        async with connection(server) as (reader, writer):
            head = f"PUT /{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
            writer.write(head.encode())
            async with asyncio.timeout(10):
                assert status in await reader.readline()


@asynccontextmanager
async def connection(server: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    parts = urlsplit(server)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_an_interrupted_upload_leaves_nothing_and_may_be_repeated(
    api: GraphQLClient, server: str, store: Path
) -> None:
    url = (await announce(api))["url"]
    async with connection(server) as (_, writer):
        head = f"PUT /{url} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(LARGE)}\r\n\r\n"
        writer.write(head.encode() + LARGE[:-1])
        await writer.drain()
        async with asyncio.timeout(10):
            while not files(store):  # noqa: ASYNC110 - the server runs in another thread
                await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        while files(store):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await listed(api) == []
    assert (await api.put(url, content=LARGE)).status_code == 200
    assert len(files(store)) == 1


async def test_a_body_may_take_longer_than_a_request_while_it_arrives(
    api: GraphQLClient, server: str, store: Path
) -> None:
    url = (await announce(api))["url"]
    began = time.monotonic()

    async def slow() -> AsyncIterator[bytes]:
        for start in range(0, len(LARGE), len(LARGE) // 8):
            yield LARGE[start : start + len(LARGE) // 8]
            await asyncio.sleep(0.4)

    assert (await api.put(url, content=slow())).status_code == 200
    assert time.monotonic() - began > 2.5
    # Not if nothing arrives, nor with an address that is not valid.
    for path in (url, f"{url}x"):
        async with connection(server) as (reader, writer):
            head = f"PUT /{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(LARGE)}\r\n\r\n"
            writer.write(head.encode() + LARGE[:1000])
            async with asyncio.timeout(20):
                await reader.read()
    assert len(files(store)) == 1


async def test_too_many_uploads_at_a_time_are_refused(
    api: GraphQLClient, server: str, monkeypatch: pytest.MonkeyPatch, store: Path
) -> None:
    monkeypatch.setattr(endpoint, "MAX_UPLOADS", 1)
    url = (await announce(api))["url"]
    async with connection(server) as (reader, writer):
        head = f"PUT /{url} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(LARGE)}\r\n\r\n"
        writer.write(head.encode() + LARGE[:-1])
        async with asyncio.timeout(10):
            while not files(store):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        response = await api.put(url, content=LARGE)
        assert refusal(response) == (503, "SERVICE_UNAVAILABLE")
        assert response.headers["retry-after"]
        writer.write(LARGE[-1:])
        async with asyncio.timeout(10):
            assert b"200" in await reader.readline()
    assert (await api.put(url, content=LARGE)).status_code == 200


async def test_an_address_of_one_replica_is_one_of_all(
    api: GraphQLClient, database_url: str, store: Path
) -> None:
    with serving(create_app(Settings(database_url=database_url, artifact_store=f"file://{store}"))) as other:
        async with httpx2.AsyncClient(base_url=other) as client:
            assert (await client.put((await announce(api))["url"], content=LARGE)).status_code == 200
            (stored,) = await listed(api)
            assert (await client.get(stored["url"])).content == LARGE


async def test_an_upload_is_larger_than_a_setting_allows(database_url: str, store: Path) -> None:
    settings = Settings(
        database_url=database_url, artifact_store=f"file://{store}", max_artifact_bytes=1024 * 1024 + 1
    )
    with serving(create_app(settings)) as url:
        async with GraphQLClient(base_url=url) as api:
            await api.execute(CREATE, {"id": ACTION})
            input = {"action": ACTION, "kind": "FILE", "name": "x", "digest": "md5:" + "0" * 32}
            (error,) = (await api.execute(ANNOUNCE, {"input": input | {"size": 1024 * 1024 + 2}}))["errors"]
            assert error["extensions"]["code"] == "QUOTA_EXCEEDED"
            assert "RUNGRAPH_MAX_ARTIFACT_BYTES" in error["message"]
