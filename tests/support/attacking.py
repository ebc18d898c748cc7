"""Owns the server that attacks are tried on, a process of its own, and what has to hold whatever is tried."""

import asyncio
import contextlib
import http.client
import itertools
import json
import os
import re
import socket
import subprocess
import sys
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
from tests.support.databases import wait_for
from tests.support.making import make_run
from tests.support.serving import free_port
from tests.support.sockets import Socket, opened

SECONDS = 30
"""How long anything is waited for."""
OURS = RunIdentifier("ours", "d", "our-run")
THEIRS = RunIdentifier("theirs-canary", "d", "their-canary-run")

_LEAKS = re.compile(
    rb"Traceback|INTERNAL_SERVER_ERROR|canary|site-packages|\.py\b|/graph/|/repo/"
    rb"|SELECT |INSERT |sqlite|asyncpg|postgres|sqlalchemy|strawberry|uvicorn|starlette|orjson|msgspec",
    re.IGNORECASE,
)
"""What nobody outside has to know: what broke, names of the other tenant, files, statements, packages."""
_COMPLAINTS = re.compile(r'Traceback|unexpected error|"level":"(error|critical)"|never (awaited|retrieved)')
"""What a server does not say in its log for anything that a client does."""
_MOST_GROWTH = 150 * 1024 * 1024
"""Bytes that the process may grow by in one attack: what was freed, the system need not have back."""
_ADDRESSES = (f"127.1.{number // 200}.{number % 200 + 1}" for number in itertools.count())


@dataclass(frozen=True)
class Tokens:
    """What callers show, by who they are."""

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
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def codes(self) -> set[str]:
        """The codes of the errors in it."""
        return {error["extensions"]["code"] for error in self.json().get("errors", ())}

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Target:
    """A server process with two tenants, and all that it has answered."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    tokens: Tokens
    address: str = "127.0.0.2"
    """Where the attacker is: each attack has an address of its own."""
    heard: list[bytes] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # Over HTTP

    async def send(self, method: str = "POST", path: str = "/graphql", **options: Any) -> Answer:
        """One request, by the admin of the attacked tenant where no other headers are given."""
        transport = httpx2.AsyncHTTPTransport(verify=False, local_address=self.address)
        headers = options.pop("headers", bearer(self.tokens.admin))
        async with httpx2.AsyncClient(transport=transport, timeout=SECONDS) as client:
            response = await client.request(method, self.url + path, headers=headers, **options)
        answer = Answer(response.status_code, dict(response.headers), response.content)
        self._note(answer.status, repr(response.headers).encode() + answer.body)
        return answer

    async def ask(self, query: str, token: str | None = None, /, **variables: Any) -> Answer:
        """One operation."""
        headers = bearer(self.tokens.admin if token is None else token)
        return await self.send(json={"query": query, "variables": variables}, headers=headers)

    async def post(self, body: bytes, **headers: str) -> Answer:
        """A body as it is."""
        given = {"content-type": "application/json", **bearer(self.tokens.admin), **headers}
        return await self.send(content=body, headers=given)

    async def raw(self, *parts: bytes, pause: float = 0, half_close: bool = False) -> bytes:
        """What comes back on a connection for these bytes, until the server closes it or says nothing more
        for two seconds."""
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
        """A connection of the attacker's, which is broken off at the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.address, 0))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def read(self, reader: asyncio.StreamReader, quiet: float = 2) -> bytes:
        """What comes, until it ends or nothing more comes for so long."""
        found = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while piece := await _next(reader, quiet if found else SECONDS):
                found += piece
        for status in re.findall(rb"(?:^|\r\n\r\n|\n)HTTP/1\.[01] (\d{3})", found):
            self.statuses.append(int(status))
        self.heard.append(found)
        return found

    # Over websockets

    @asynccontextmanager
    async def socket(
        self, token: str | None = None, init: bool = True, **options: Any
    ) -> AsyncIterator[Socket]:
        """A websocket, acknowledged unless `init` is False. What it hears is what the attacker hears."""
        options.setdefault("local_addr", (self.address, 0))
        async with opened(f"{self.url}/graphql", **options) as socket:
            hear = socket.connection.recv

            async def recv(*given: Any, **named: Any) -> Any:
                message = await hear(*given, **named)
                self.heard.append(message.encode() if isinstance(message, str) else message)
                return message

            socket.connection.recv = recv  # type: ignore[method-assign]
            if init:
                shown = bearer(self.tokens.admin if token is None else token)
                await socket.send({"type": "connection_init", "payload": shown})
                assert await socket.next() == {"type": "connection_ack"}
            yield socket

    # What is looked at

    def memory(self) -> int:
        """Bytes that the process occupies."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def connections(self) -> int:
        """How many connections the server holds."""
        ends = f":{self.port:04X}"
        lines = Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]
        # Established, or closed by the client alone.
        return sum(line.split()[1].endswith(ends) and line.split()[3] in ("01", "08") for line in lines)

    def files(self) -> int:
        """How many files and sockets the process has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def _note(self, status: int, text: bytes) -> None:
        self.statuses.append(status)
        self.heard.append(text)


def bearer(token: str) -> dict[str, str]:
    """The header that shows it."""
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def attacked(url: str, folder: Path, **settings: str) -> Iterator[Target]:
    """A server over a migrated database, in which there are two tenants."""
    tokens = wait_for(_fill(url))
    port, log = free_port(), folder / "log"
    program = Path(sys.executable).parent / "rungraph"
    environment = {
        **os.environ,
        "RUNGRAPH_DATABASE_URL": url,
        "RUNGRAPH_PORT": str(port),
        "RUNGRAPH_AUTH": "token",
        "RUNGRAPH_LOG_FORMAT": "json",
        **settings,
    }
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [program, "serve"], env=environment, stdout=subprocess.DEVNULL, stderr=errors, cwd=folder
        )
    try:
        wait_until(lambda: _is_ready(port), "the server is ready")
        yield Target(process, port, log, tokens)
    finally:
        process.terminate()
        code = process.wait(SECONDS)
    assert code == 0, log.read_text()


async def _next(reader: asyncio.StreamReader, seconds: float) -> bytes:
    """What comes next. Raises TimeoutError. A machine that stalls takes one part of the time only."""
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
            who, ends = Identity(IdentityKind.USER, f"subject-{name}"), datetime.now(UTC) + timedelta(days=1)
            access = Access(frozenset({grant}))
            made, secret = await repository.create_credential(kind, name, who, access, ends)
            return made.id, secret

        ours, theirs = "ours", THEIRS.project
        session = CredentialKind.SESSION
        gone, revoked = await make("revoked", Grant(Role.ADMIN))
        await repository.revoke_credential(gone)
        over, expired = await make("expired", Grant(Role.ADMIN))
        past = credentials.update().where(credentials.c.id == over).values(expires_at=datetime.now(UTC))
        await repository._database.write(lambda connection: connection.execute(past))
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
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        asking.request("GET", "/readyz")
        return asking.getresponse().status == 200
    except OSError:
        return False
    finally:
        asking.close()


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait for it, and fail by its name."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


class Honest:
    """Somebody who asks again and again meanwhile, in a thread of their own."""

    def __init__(self, target: Target) -> None:
        self.answers = 0
        self._target = target
        self._is_over = threading.Event()
        self._asked = threading.Event()
        self._wrong: list[str] = []
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> "Honest":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # They have asked at least once, however short the attack was.
        self._asked.wait(SECONDS)
        self._is_over.set()
        self._thread.join(SECONDS * 2)
        assert not self._thread.is_alive(), "somebody honest still waits for an answer"
        assert self._wrong == []
        assert self.answers, "nobody honest was served"

    def _ask(self) -> None:
        asking = http.client.HTTPConnection("127.0.0.1", self._target.port, timeout=SECONDS)
        headers = {"Content-Type": "application/json", **bearer(self._target.tokens.honest)}
        body = json.dumps({"query": "{ runs(first: 5) { nodes { name } } }"})
        while not self._is_over.wait(0.05) and not self._wrong:
            try:
                asking.request("POST", "/graphql", body, headers)
                response = asking.getresponse()
                text = response.read()
            except OSError as error:
                self._wrong.append(repr(error))
                continue
            if response.status != 200 or b'"our-run"' not in text:
                self._wrong.append(f"{response.status} {text.decode()}")
            self.answers += 1
            self._asked.set()
        asking.close()


@contextmanager
def holding(target: Target, may_fail_with: tuple[int, ...] = ()) -> Iterator[Target]:
    """What has to hold for each attack, however it goes."""
    target.address = next(_ADDRESSES)
    target.heard.clear()
    target.statuses.clear()
    said = target.log.stat().st_size
    memory, files, connections = target.memory(), target.files(), target.connections()
    with Honest(target):
        yield target
        assert target.process.poll() is None, "the server died"
    assert all(status < 500 or status in may_fail_with for status in target.statuses), target.statuses
    secrets = [token.encode() for token in target.tokens]
    for text in target.heard:
        assert (leak := _LEAKS.search(text)) is None, text[max(0, leak.start() - 300) : leak.end() + 300]
        assert not any(secret in text for secret in secrets), text[:500]
    log = target.log.read_bytes()[said:].decode()
    assert _COMPLAINTS.search(log) is None, log[:5000]
    assert not any(token in log for token in target.tokens), "a token is in the log"
    wait_until(lambda: target.connections() <= connections, "all connections of the attack are gone")
    # The connections to the database stay, of which there may be more than before.
    wait_until(lambda: target.files() <= files + 30, "all files of the attack are closed")
    assert target.memory() < memory + _MOST_GROWTH


def blind_socket(target: Target, receive_buffer: int = 4096) -> socket.socket:
    """A connection that takes next to nothing."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    one.bind((target.address, 0))
    one.connect(("127.0.0.1", target.port))
    return one
