"""Linked logs are read through the server: with ranges and limits, and only where that is allowed."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from graph.app import create_app
from graph.outbound import AllowedAddresses, Outbound, parse_address
from graph.settings import Settings
from repo import LogLink, Role, open_repository
from tests.support.credentials import bearer, token
from tests.support.making import event, make_run
from tests.support.ports import free_port
from tests.support.serving import serving

LOG = b"".join(b"line %d\n" % number for number in range(20_000))
A0 = {"project": "etl", "domain": "production", "runName": "nightly-1", "name": "a0", "attempt": "1"}
LIMIT = 300_000


class LogServer:
    """A real server of logs."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.url = ""

    async def plain(self, request: Request) -> Response:
        """With ranges, as servers of files and S3 have them."""
        self.requests.append(dict(request.headers))
        size = int(request.query_params.get("size", len(LOG)))
        body = LOG[:size]
        wanted = request.headers.get("range")
        if wanted is None:
            return PlainTextResponse(body)
        start, _, end = wanted.removeprefix("bytes=").partition("-")
        first = int(start) if start else max(0, len(body) - int(end))
        last = min(len(body) - 1, int(end)) if start and end else len(body) - 1
        if first >= len(body):
            return Response(status_code=416, headers={"Content-Range": f"bytes */{len(body)}"})
        headers = {"Content-Range": f"bytes {first}-{last}/{len(body)}", "Content-Type": "text/html"}
        return Response(body[first : last + 1], 206, headers)

    async def without_ranges(self, _: Request) -> Response:
        return Response(LOG[:1000], headers={"Content-Type": "text/html", "Set-Cookie": "a=b"})

    async def endless(self, _: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 10_000
                await asyncio.sleep(0)

        return StreamingResponse(parts())

    async def stalled(self, _: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begins\n"
            await asyncio.sleep(60)

        return StreamingResponse(parts())

    async def other(self, request: Request) -> Response:
        match request.path_params["what"]:
            case "moved":
                return RedirectResponse("http://127.0.0.1:1/secret")
            case "packed":
                return Response(gzip.compress(LOG), headers={"Content-Encoding": "gzip"})
            case "large":
                return Response(LOG * 2)
            case "no-range":
                return Response(b"abc", 206, {"Content-Range": "bytes 5-3/100"})
            case "huge-range":
                return Response(b"abc", 206, {"Content-Range": "bytes 0-9999999/99999999"})
        return PlainTextResponse("a secret of the server", 404)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/logs/plain", self.plain),
                Route("/logs/without-ranges", self.without_ranges),
                Route("/logs/endless", self.endless),
                Route("/logs/stalled", self.stalled),
                Route("/logs/{what}", self.other),
            ]
        )


@pytest.fixture(scope="module")
def logs() -> Iterator[LogServer]:
    server = LogServer()
    with serving(server.app()) as server.url:
        yield server


@asynccontextmanager
async def reading(
    url: str, logs: LogServer, links: dict[str, str], **settings: Any
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a server whose action a0 has these links."""
    async with open_repository(url) as repository:
        await make_run(repository)
        of_attempt = tuple(LogLink(name, uri) for name, uri in links.items())
        await repository.insert_events([event(logs=of_attempt), event(attempt=2)])
    allowed: dict[str, Any] = {
        "log_link_hosts": logs.url.removeprefix("http://"),
        "log_link_allow_private": True,
    }
    app = create_app(Settings(database_url=url, **allowed | {"log_link_max_bytes": LIMIT} | settings))
    with serving(app) as address:
        async with httpx2.AsyncClient(base_url=address, timeout=30) as client:
            yield client


def address(link: str, **others: str) -> str:
    return f"/log-links?{urlencode(A0 | {'link': link} | others)}"


def code_of(response: httpx2.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/json"
    return response.status_code, response.json()["errors"][0]["extensions"]["code"]


async def readable(client: httpx2.AsyncClient) -> dict[str, bool]:
    """What the API says of the links of the first attempt."""
    query = """query ($id: ActionIdentifierInput!) {
      action(id: $id) { attemptHistory(first: 1) { logs { name isReadable } } }
    }"""
    variables = {"id": {name: value for name, value in A0.items() if name != "attempt"}}
    response = await client.post("/graphql", json={"query": query, "variables": variables})
    (attempt,) = response.json()["data"]["action"]["attemptHistory"]
    return {link["name"]: link["isReadable"] for link in attempt["logs"]}


async def test_a_linked_log_is_read_whole_or_in_ranges(database_url: str, logs: LogServer) -> None:
    name = "main / stdout ü"
    async with reading(database_url, logs, {name: f"{logs.url}/logs/plain"}) as client:
        whole = await client.get(address(name))
        assert (whole.status_code, whole.content) == (200, LOG)
        assert "content-range" not in whole.headers
        assert whole.headers["content-type"] == "text/plain; charset=utf-8"
        assert whole.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in whole.headers["content-security-policy"]
        end = await client.get(address(name), headers={"Range": "bytes=-1000"})
        assert (end.status_code, end.content) == (206, LOG[-1000:])
        assert end.headers["content-range"] == f"bytes {len(LOG) - 1000}-{len(LOG) - 1}/{len(LOG)}"
        part = await client.get(address(name), headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, LOG[10:20])
        outside = await client.get(address(name), headers={"Range": "bytes=999999-"})
        assert code_of(outside) == (416, "BAD_REQUEST")
        assert outside.headers["content-range"] == f"bytes */{len(LOG)}"
        for wrong in ("bytes=0-1,5-6", "lines=1-2", "bytes=-"):
            assert code_of(await client.get(address(name), headers={"Range": wrong})) == (416, "BAD_REQUEST")
    sent = logs.requests[-1]
    assert sent["accept-encoding"] == "identity"
    assert not {"cookie", "authorization", "referer"} & sent.keys()


async def test_the_size_of_an_answer_is_bounded(database_url: str, logs: LogServer) -> None:
    links = {name: f"{logs.url}/logs/{name}" for name in ("plain", "large", "endless")}
    links["empty"] = f"{logs.url}/logs/plain?size=0"
    async with reading(database_url, logs, links, log_link_max_bytes=5000) as client:
        assert code_of(await client.get(address("plain"))) == (413, "PAYLOAD_TOO_LARGE")
        part = await client.get(address("plain"), headers={"Range": "bytes=100-"})
        assert (part.status_code, part.content) == (206, LOG[100:5100])
        end = await client.get(address("plain"), headers={"Range": "bytes=-99999"})
        assert (end.status_code, end.content) == (206, LOG[-5000:])
        assert code_of(await client.get(address("large"))) == (413, "PAYLOAD_TOO_LARGE")
        with pytest.raises(httpx2.RemoteProtocolError):  # it has no length: it is cut off
            await client.get(address("endless"))
        empty = await client.get(address("empty"))
        assert (empty.status_code, empty.content) == (200, b"")


async def test_a_server_without_ranges_is_read_whole(database_url: str, logs: LogServer) -> None:
    async with reading(database_url, logs, {"x": f"{logs.url}/logs/without-ranges"}) as client:
        for headers in ({}, {"Range": "bytes=0-9"}):
            response = await client.get(address("x"), headers=headers)
            assert (response.status_code, response.content) == (200, LOG[:1000])
            assert response.headers["content-type"] == "text/plain; charset=utf-8"
            assert "set-cookie" not in response.headers


async def test_a_log_that_stalls_is_cut_off(database_url: str, logs: LogServer) -> None:
    async with reading(database_url, logs, {"x": f"{logs.url}/logs/stalled"}, log_link_timeout=0.5) as client:
        began = time.monotonic()
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get(address("x"))
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "head", ["Content-Length: 1000\r\n\r\nbegins\n", "Transfer-Encoding: chunked\r\n\r\n7\r\nbegins\n\r\n"]
)
async def test_a_log_whose_server_ends_early_is_cut_off_with_one_line(
    database_url: str, logs: LogServer, caplog: pytest.LogCaptureFixture, head: str
) -> None:
    async def end_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\n{head}".encode())
        writer.close()

    async with await asyncio.start_server(end_early, "127.0.0.1", 0) as server:
        host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        links = {"x": f"http://{host}/x?token=secret"}
        with structlog.testing.capture_logs() as lines:
            async with reading(database_url, logs, links, log_link_hosts=host) as client:
                with pytest.raises(httpx2.RemoteProtocolError):
                    await client.get(address("x"))
                assert (await client.get("/livez")).status_code == 200
    cut = [line for line in lines if line["event"] == "a linked log was cut off"]
    assert [(line["log_level"], line["host"]) for line in cut] == [("warning", "127.0.0.1")]
    assert not [line for line in lines if line["log_level"] == "error"]
    assert "secret" not in str(lines)
    assert caplog.records == []


async def test_what_other_servers_answer_is_not_repeated(database_url: str, logs: LogServer) -> None:
    links = {name: f"{logs.url}/logs/{name}" for name in ("moved", "packed", "missing")}
    links["closed"] = f"http://127.0.0.1:{free_port()}/x"
    hosts = f"127.0.0.1:{links['closed'].split(':')[2].removesuffix('/x')},{logs.url.removeprefix('http://')}"
    async with reading(database_url, logs, links, log_link_hosts=hosts) as client:
        for name in links:
            response = await client.get(address(name))
            assert code_of(response) == (502, "LOG_LINK_FAILED")
            assert not [each for each in ("secret", "127.0.0.1", "http://") if each in response.text]


async def test_a_range_that_cannot_be_is_a_failure(database_url: str, logs: LogServer) -> None:
    links = {name: f"{logs.url}/logs/{name}" for name in ("no-range", "huge-range")}
    async with reading(database_url, logs, links) as client:
        for name in links:
            response = await client.get(address(name), headers={"Range": "bytes=0-9"})
            assert code_of(response) == (502, "LOG_LINK_FAILED")


async def test_only_stored_links_to_allowed_hosts_are_read(database_url: str, logs: LogServer) -> None:
    links = {
        "ok": f"{logs.url}/logs/plain",
        "other host": "http://169.254.169.254/latest/meta-data",
        "other port": "http://127.0.0.1:1/logs/plain",
        "above": f"{logs.url}/logs/../secret",
        "above, encoded": f"{logs.url}/logs/%2e%2e/secret",
        "password": logs.url.replace("http://", "http://user:pw@") + "/logs/plain",
        "file": "file:///etc/passwd",
        "s3": "s3://bucket/key",
    }
    async with reading(database_url, logs, links, log_link_hosts=f"{logs.url}/logs/") as client:
        assert await readable(client) == {name: name == "ok" for name in links}
        assert (await client.get(address("ok"))).status_code == 200
        for name in links.keys() - {"ok"}:
            assert code_of(await client.get(address(name))) == (403, "LOG_LINK_REFUSED"), name
        assert code_of(await client.get(address("unknown"))) == (404, "NOT_FOUND")
        for others in ({"attempt": "2"}, {"name": "b"}, {"attempt": "7"}):
            assert code_of(await client.get(address("ok", **others))) == (404, "NOT_FOUND")
        assert code_of(await client.get(address("ok", attempt="x"))) == (400, "BAD_USER_INPUT")
        assert code_of(await client.get("/log-links?project=etl")) == (400, "BAD_USER_INPUT")
        assert code_of(await client.post(address("ok"))) == (405, "METHOD_NOT_ALLOWED")


async def test_it_is_off_by_default_and_private_networks_are_refused(
    database_url: str, logs: LogServer
) -> None:
    links = {"x": f"{logs.url}/logs/plain"}
    async with reading(database_url, logs, links, log_link_allow_private=False) as client:
        response = await client.get(address("x"))
        assert code_of(response) == (502, "LOG_LINK_FAILED")
        assert "private network" in response.text
    app = create_app(Settings(database_url=database_url))
    with serving(app) as url:
        async with httpx2.AsyncClient(base_url=url) as client:
            assert code_of(await client.get(address("x"))) == (403, "LOG_LINK_REFUSED")
            assert await readable(client) == {"x": False}


async def test_a_tenant_reads_no_log_of_another(database_url: str, logs: LogServer) -> None:
    async with open_repository(database_url) as repository:
        secrets = {
            project: (await token(repository, role=Role.VIEWER, project=project))[1]
            for project in ("etl", "other")
        }
    async with reading(database_url, logs, {"x": f"{logs.url}/logs/plain"}, auth="token") as client:
        assert code_of(await client.get(address("x"))) == (401, "UNAUTHENTICATED")
        for project, expected in (("etl", 200), ("other", 404)):
            assert (await client.get(address("x"), headers=bearer(secrets[project]))).status_code == expected


async def test_the_checked_address_is_the_one_that_is_connected_to(logs: LogServer) -> None:
    """A name that leads elsewhere the next time (DNS rebinding) is not looked up again."""
    lookups: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        lookups.append(host)
        return ["127.0.0.1"] if len(lookups) == 1 else ["10.0.0.1"]

    outbound = Outbound(allows_private=True, resolve=resolve, keeps_connections=False)
    url = parse_address(logs.url.replace("127.0.0.1", "logs.example.com") + "/logs/plain")
    assert url is not None
    response = await outbound.send("GET", url, {})
    assert (await response.aread(), lookups) == (LOG, ["logs.example.com"])
    await outbound.close()


@pytest.mark.parametrize(
    ("items", "url", "is_allowed"),
    [
        ("logs.example.com", "https://logs.example.com/x", True),
        ("logs.example.com", "http://LOGS.example.com:80/x", True),
        ("logs.example.com", "https://logs.example.com:8443/x", False),
        ("logs.example.com:8443", "https://logs.example.com:8443/x", True),
        ("logs.example.com", "https://logs.example.com.evil.test/x", False),
        ("*.example.com", "https://a.b.example.com/x", True),
        ("*.example.com", "https://example.com/x", False),
        ("*.example.com", "https://evilexample.com/x", False),
        ("https://example.com/logs/", "https://example.com/logs/1", True),
        ("https://example.com/logs", "https://example.com/logs/1", True),
        ("https://example.com/logs", "https://example.com/logs-of-others", False),
        ("https://example.com/logs/", "http://example.com/logs/1", False),
        ("https://example.com/logs/", "https://example.com/other/../logs/1", True),
        ("https://example.com/logs/", "https://example.com/logs/../other", False),
        ("https://example.com/logs/", "https://example.com/logs%2f..%2fother", False),
        ("https://example.com/logs/", "https://example.com/logs/..;a=b/other", False),
        ("example.com", "https://user@example.com/x", False),
        ("", "https://example.com/x", False),
    ],
)
def test_items_stand_for_hosts_and_prefixes(items: str, url: str, is_allowed: bool) -> None:
    parsed = parse_address(url)
    assert parsed is not None
    assert AllowedAddresses([items] if items else []).allow(parsed) is is_allowed


@pytest.mark.parametrize(
    "item", ["example.com/logs", "ftp://example.com", "https://u:p@example.com", "a b", "https://"]
)
def test_other_items_are_refused(item: str) -> None:
    with pytest.raises(ValueError, match="item"):
        AllowedAddresses([item])
