"""The server process that attacks are run against, and the checks that must hold for every attack."""

import asyncio
import contextlib
import http.client
import itertools
import json
import os
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from repo import (
    Access,
    CredentialKind,
    Grant,
    Identity,
    IdentityKind,
    Role,
    RunIdentifier,
    open_repository,
)
from repo.tables import credentials
from tests.support import forking
from tests.support.databases import wait_for
from tests.support.making import make_run
from tests.support.ports import free_port
from tests.support.sockets import Socket, opened

SECONDS = 30
"""Timeout of every wait, in seconds."""
OURS = RunIdentifier("ours", "d", "our-run")
THEIRS = RunIdentifier("theirs-canary", "d", "their-canary-run")

_LEAKS = re.compile(
    rb"Traceback|INTERNAL_SERVER_ERROR|canary|site-packages|\.py\b|/graph/|/repo/"
    rb"|SELECT |INSERT |sqlite|asyncpg|postgres|sqlalchemy|strawberry|uvicorn|starlette|orjson|msgspec",
    re.IGNORECASE,
)
"""What responses must not reveal: internal errors, the other tenant, files, statements, packages."""
_LOG_PROBLEMS = re.compile(r'Traceback|unexpected error|"level":"(error|critical)"|never (awaited|retrieved)')
"""What a client must not be able to put into the server's log."""
_MAX_GROWTH = 150 * 1024 * 1024
"""Bytes by which the process may grow in one attack: freed memory is not always returned to the system."""
_ADDRESSES = (f"127.1.{number // 200}.{number % 200 + 1}" for number in itertools.count())


@dataclass(frozen=True)
class Tokens:
    """The credentials of the callers."""

    viewer: str
    writer: str
    theirs: str
    admin: str
    expired: str
    revoked: str
    session: str
    their_session: str
    honest: str

    def __iter__(self) -> Iterator[str]:
        return iter(vars(self).values())


@dataclass
class Answer:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def codes(self) -> set[str]:
        """The codes of its errors."""
        return {error["extensions"]["code"] for error in self.json().get("errors", ())}

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Target:
    """A server process with two tenants, and everything that it has sent."""

    process: forking.Process
    port: int
    log: Path
    tokens: Tokens
    address: str = "127.0.0.2"
    """The attacker's address: each attack has its own."""
    received: list[bytes] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # Over HTTP

    async def send(self, method: str = "POST", path: str = "/graphql", **options: Any) -> Answer:
        """Sends one request, by default as the admin of the attacked tenant."""
        transport = httpx2.AsyncHTTPTransport(verify=False, local_address=self.address)
        headers = options.pop("headers", bearer(self.tokens.admin))
        async with httpx2.AsyncClient(transport=transport, timeout=SECONDS) as client:
            response = await client.request(method, self.url + path, headers=headers, **options)
        answer = Answer(response.status_code, dict(response.headers), response.content)
        self._note(answer.status, repr(response.headers).encode() + answer.body)
        return answer

    async def execute(self, query: str, token: str | None = None, /, **variables: Any) -> Answer:
        """Executes one operation."""
        headers = bearer(self.tokens.admin if token is None else token)
        return await self.send(json={"query": query, "variables": variables}, headers=headers)

    async def post(self, body: bytes, **headers: str) -> Answer:
        """Posts a body unchanged."""
        all_headers = {"content-type": "application/json", **bearer(self.tokens.admin), **headers}
        return await self.send(content=body, headers=all_headers)

    async def raw(self, *parts: bytes, pause: float = 0, half_close: bool = False) -> bytes:
        """Sends bytes; returns the response, up to the end of the connection or a pause of two seconds."""
        async with self.connection() as (reader, writer):
            with contextlib.suppress(OSError):  # the server may have closed it already
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(pause)
                if half_close:
                    writer.write_eof()
            return await self.read(reader)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection of the attacker, aborted at the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.address, 0))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def read(self, reader: asyncio.StreamReader, quiet: float = 2) -> bytes:
        """Reads until the end or a pause of `quiet` seconds."""
        found = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while piece := await _next(reader, quiet if found else SECONDS):
                found += piece
        for status in re.findall(rb"(?:^|\r\n\r\n|\n)HTTP/1\.[01] (\d{3})", found):
            self.statuses.append(int(status))
        self.received.append(found)
        return found

    # Over websockets

    @asynccontextmanager
    async def socket(
        self, token: str | None = None, init: bool = True, **options: Any
    ) -> AsyncIterator[Socket]:
        """A websocket, acknowledged unless `init` is False. What it receives counts as received by the
        attacker."""
        options.setdefault("local_addr", (self.address, 0))
        async with opened(f"{self.url}/graphql", **options) as socket:
            receive = socket.connection.recv

            async def recv(*arguments: Any, **options: Any) -> Any:
                message = await receive(*arguments, **options)
                self.received.append(message.encode() if isinstance(message, str) else message)
                return message

            socket.connection.recv = recv  # type: ignore[method-assign]
            if init:
                payload = bearer(self.tokens.admin if token is None else token)
                await socket.send({"type": "connection_init", "payload": payload})
                assert await socket.next() == {"type": "connection_ack"}
            yield socket

    # Measurements

    def memory(self) -> int:
        """The resident memory of the process in bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def connections(self) -> int:
        """The number of connections of the server."""
        ends = f":{self.port:04X}"
        lines = Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]
        # Established, or closed only by the client.
        return sum(line.split()[1].endswith(ends) and line.split()[3] in ("01", "08") for line in lines)

    def files(self) -> int:
        """The number of open files and sockets of the process."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def _note(self, status: int, text: bytes) -> None:
        self.statuses.append(status)
        self.received.append(text)


def bearer(token: str) -> dict[str, str]:
    """The header with this token."""
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def attacked(url: str, folder: Path, **settings: str) -> Iterator[Target]:
    """Starts a server on a migrated database with two tenants."""
    tokens = wait_for(_fill(url))
    port, log = free_port(), folder / "log"
    environment = {
        **os.environ,
        "RUNGRAPH_DATABASE_URL": url,
        "RUNGRAPH_PORT": str(port),
        "RUNGRAPH_AUTH": "token",
        "RUNGRAPH_LOG_FORMAT": "json",
        **settings,
    }
    with log.open("wb") as errors:
        process = forking.Process(
            *(forking.RUNGRAPH, "serve"), environment=environment, folder=folder, stderr=errors.fileno()
        )
    try:
        wait_until(lambda: _is_ready(port), "the server is ready")
        yield Target(process, port, log, tokens)
    finally:
        process.terminate()
        code = process.wait_in_thread(SECONDS)
    assert code == 0, log.read_text()


async def _next(reader: asyncio.StreamReader, seconds: float) -> bytes:
    """The next bytes. Raises TimeoutError. Waits in parts, so that a stalled machine uses up only one of
    them."""
    for _ in range(3):
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(reader.read(2**20), seconds / 4)
    return await asyncio.wait_for(reader.read(2**20), seconds / 4)


async def _fill(url: str) -> Tokens:
    async with open_repository(url) as repository:
        await make_run(repository, OURS, a1="a0")
        await make_run(repository, THEIRS, a1="a0")

        async def make(
            name: str,
            grant: Grant,
            kind: CredentialKind = CredentialKind.TOKEN,
        ) -> tuple[str, str]:
            identity, expires_at = (
                Identity(IdentityKind.USER, f"subject-{name}"),
                datetime.now(UTC) + timedelta(days=1),
            )
            access = Access(frozenset({grant}))
            made, secret = await repository.credentials.create(kind, name, identity, access, expires_at)
            return made.id, secret

        ours, theirs = "ours", THEIRS.project
        session = CredentialKind.SESSION
        revoked_id, revoked = await make("revoked", Grant(Role.ADMIN))
        await repository.credentials.revoke(revoked_id)
        expired_id, expired = await make("expired", Grant(Role.ADMIN))
        expire = (
            credentials.update().where(credentials.c.id == expired_id).values(expires_at=datetime.now(UTC))
        )
        now = datetime.now(UTC)
        await repository.database.transact_on_connection(
            lambda connection: connection.execute(expire.values(expires_at=now))
        )
        return Tokens(
            viewer=(await make("viewer", Grant(Role.VIEWER, ours)))[1],
            writer=(await make("writer", Grant(Role.WRITER, ours)))[1],
            theirs=(await make("their-canary-token", Grant(Role.ADMIN, theirs)))[1],
            admin=(await make("admin", Grant(Role.ADMIN, ours)))[1],
            expired=expired,
            revoked=revoked,
            session=(await make("session", Grant(Role.VIEWER, ours), session))[1],
            their_session=(await make("their-canary-session", Grant(Role.ADMIN, theirs), session))[1],
            honest=(await make("honest", Grant(Role.VIEWER, ours)))[1],
        )


def _is_ready(port: int) -> bool:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        client.request("GET", "/readyz")
        return client.getresponse().status == 200
    except OSError:
        return False
    finally:
        client.close()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Waits for a condition; fails with its description."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"timed out: {what}"
        time.sleep(0.05)


class HonestClient:
    """An honest client that sends requests during an attack, in its own thread."""

    def __init__(self, target: Target) -> None:
        self.answers = 0
        self._target = target
        self._ended = threading.Event()
        self._served = threading.Event()
        self._problems: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "HonestClient":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # At least one request, however short the attack was.
        self._served.wait(SECONDS)
        self._ended.set()
        self._thread.join(SECONDS * 2)
        assert not self._thread.is_alive(), "the honest client still waits for a response"
        assert self._problems == []
        assert self.answers, "the honest client was not served"

    def _run(self) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self._target.port, timeout=SECONDS)
        headers = {"Content-Type": "application/json", **bearer(self._target.tokens.honest)}
        body = json.dumps({"query": "{ runs(first: 5) { nodes { name } } }"})
        while not self._ended.wait(0.05) and not self._problems:
            try:
                client.request("POST", "/graphql", body, headers)
                response = client.getresponse()
                text = response.read()
            except OSError as error:
                self._problems.append(repr(error))
                continue
            if response.status != 200 or b'"our-run"' not in text:
                self._problems.append(f"{response.status} {text.decode()}")
            self.answers += 1
            self._served.set()
        client.close()


@contextmanager
def checked(target: Target, may_fail_with: tuple[int, ...] = ()) -> Iterator[Target]:
    """Checks what must hold for every attack."""
    target.address = next(_ADDRESSES)
    target.received.clear()
    target.statuses.clear()
    log_size = target.log.stat().st_size
    memory, files, connections = target.memory(), target.files(), target.connections()
    with HonestClient(target):
        yield target
        assert target.process.returncode is None, "the server died"
    assert all(status < 500 or status in may_fail_with for status in target.statuses), target.statuses
    secrets = [token.encode() for token in target.tokens]
    for text in target.received:
        assert (leak := _LEAKS.search(text)) is None, text[max(0, leak.start() - 300) : leak.end() + 300]
        assert not any(secret in text for secret in secrets), text[:500]
    log = target.log.read_bytes()[log_size:].decode()
    assert _LOG_PROBLEMS.search(log) is None, log[:5000]
    assert not any(token in log for token in target.tokens), "a token is in the log"
    wait_until(lambda: target.connections() <= connections, "all connections of the attack are closed")
    # Connections to the database stay open, maybe more than before.
    wait_until(lambda: target.files() <= files + 30, "all files of the attack are closed")
    assert target.memory() < memory + _MAX_GROWTH


def non_reading_socket(target: Target, receive_buffer: int = 4096) -> socket.socket:
    """A connection with a tiny receive buffer that nobody reads."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    one.bind((target.address, 0))
    one.connect(("127.0.0.1", target.port))
    return one
