"""Authentication: finds the caller by their credential, and ends sessions whose credential ends.

Callers are cached for a moment, so that most requests cost no lookup. Each frame of a stream is checked for
expiry and revocation, and every few seconds all open connections and streams.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self, TypeVar

import structlog
from starlette.requests import HTTPConnection

import repo
from graph.auth.caller import ANONYMOUS, Caller, caller_from_credential
from graph.auth.cookies import SESSION_COOKIE, cookie_values
from graph.auth.origins import is_cross_origin
from graph.errors import RequestRefused

logger = structlog.get_logger("rungraph.authentication")

T = TypeVar("T")

CACHE_SECONDS = 2.0
"""For how long a caller is cached."""
MAX_CACHED = 10_000
CHECK_INTERVAL = 2.0
"""Seconds between two checks of the open sessions."""
DATABASE_TIMEOUT = 2.0
"""Seconds for the query which credentials are still valid."""

_STORED_SECRET = re.compile(r"rgs?_[\w-]{43}", re.ASCII)

_REQUIRED = "Authentication required: send `Authorization: Bearer <token>`."
_INVALID = "The credential is unknown, expired or revoked."
_CROSS_ORIGIN = "Cross-origin requests cannot use the session cookie."


@dataclass(slots=True, eq=False)
class CallerSession:
    """A connection or stream of a caller, which ends when the credential expires or is revoked."""

    _authenticator: "Authenticator"
    caller: Caller
    _on_end: Callable[[], None]
    _is_ended: bool = False
    _wait: asyncio.Timeout | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def can_end(self) -> bool:
        """Whether the credential can expire or be revoked at all."""
        return self.caller.credential is not None or self.caller.expires_at is not None

    @property
    def is_valid(self) -> bool:
        """Whether the caller may still be sent anything."""
        return not self._is_ended and not _is_expired(self.caller)

    def end(self) -> None:
        """End the session since its credential is no longer valid."""
        self._is_ended = True
        self.close()
        if self._wait is not None:
            self._wait.reschedule(asyncio.get_running_loop().time())
        self._on_end()

    def close(self) -> None:
        """Stop checking the credential, as the connection has closed."""
        self._authenticator.forget(self)

    async def while_valid(self, results: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """The results, until the session ends: then raises RequestRefused, even while waiting for the next
        one."""
        if not self.can_end:
            async for result in results:
                yield result
            return
        while self.is_valid:
            try:
                async with asyncio.timeout(None) as self._wait:
                    result = await anext(results)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if self._is_ended:
                    break
                raise  # from the results themselves
            finally:
                self._wait = None
            if self.is_valid:
                yield result
        raise _unauthenticated(_INVALID)


class Authenticator:
    """Authenticates requests, by stored credentials or by tokens of an OpenID provider."""

    def __init__(
        self,
        repository: repo.ActionRepo | None,
        *,
        verify_jwt: Callable[[str], Awaitable[Caller]] | None = None,
        cookie: str = SESSION_COOKIE,
        on_invalid: Callable[[HTTPConnection], None] = lambda _: None,
        supervisor: repo.Supervisor | None = None,
    ) -> None:
        """`repository` stores the credentials; None turns authentication off. `verify_jwt` returns the caller
        of any other bearer token, or raises RequestRefused. `cookie` is the name of the session cookie.
        `on_invalid` is called with each request that has an invalid credential."""
        self._repository = repository
        self._verify_jwt = verify_jwt
        self._cookie = cookie
        self._on_invalid = on_invalid
        self._supervisor = supervisor or repo.Supervisor()
        # By the hash of the secret, so that no secret is kept in memory.
        self._cache: dict[bytes, tuple[Caller, float]] = {}
        self._lookups: dict[bytes, asyncio.Task[Caller | None]] = {}
        self._sessions: set[CallerSession] = set()
        self._has_sessions = asyncio.Event()

    async def authenticate(self, connection: HTTPConnection, authorization: str | None = None) -> Caller:
        """The caller of a request.

        The credential is the `Authorization` header, else `authorization` (from clients that cannot set
        headers), else the session cookie. Raises RequestRefused; an invalid credential never falls back to
        the next one.
        """
        if self._repository is None:
            return ANONYMOUS
        authorization = connection.headers.get("authorization") or authorization
        if authorization is not None:
            scheme, _, secret = authorization.partition(" ")
            secret = secret.strip() if scheme.lower() == "bearer" else ""
        elif cookies := cookie_values(connection, self._cookie):
            # Browsers send it with cross-origin requests too. Websockets have an origin check of their own.
            if connection.scope.get("method") == "POST" and is_cross_origin(connection):
                raise RequestRefused(403, "FORBIDDEN", _CROSS_ORIGIN)
            # Of two, one may have been set by a neighbouring site, and they cannot be told apart.
            secret = cookies[0] if len(cookies) == 1 else ""
        else:
            raise _unauthenticated(_REQUIRED)
        key = hashlib.sha256(secret.encode(errors="replace")).digest()
        cached = self._cache.get(key)
        if cached is not None and time.monotonic() < cached[1] and not _is_expired(cached[0]):
            return cached[0]
        try:
            caller = await self._look_up(key, secret)
        except RequestRefused as refused:
            if refused.status == 401:
                self._on_invalid(connection)
            raise
        except repo.DatabaseUnavailable as error:
            raise RequestRefused(503, error.code, str(error), retry_after="1") from error
        if caller is None:
            self._on_invalid(connection)
            raise _unauthenticated(_INVALID, 'Bearer error="invalid_token"')
        return caller

    async def _look_up(self, key: bytes, secret: str) -> Caller | None:
        """The caller with this secret. Concurrent requests share one lookup."""
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = self._lookups[key] = asyncio.create_task(self._find(key, secret))
            lookup.add_done_callback(lambda done: self._end_lookup(key, done))
        return await asyncio.shield(lookup)

    def _end_lookup(self, key: bytes, done: asyncio.Task[Caller | None]) -> None:
        del self._lookups[key]
        if not done.cancelled():
            done.exception()  # retrieved here too, since all requests that wait may have been cancelled

    async def _find(self, key: bytes, secret: str) -> Caller | None:
        assert self._repository is not None
        caller = None
        if _STORED_SECRET.fullmatch(secret):
            credential = await self._repository.credentials.find(secret)
            caller = None if credential is None else caller_from_credential(credential)
        elif self._verify_jwt is not None:
            caller = await self._verify_jwt(secret)
        # Inserted at the end again: the first entry is the one that was looked up longest ago.
        self._cache.pop(key, None)
        if caller is not None:
            self._cache[key] = caller, time.monotonic() + CACHE_SECONDS
            if len(self._cache) > MAX_CACHED:
                del self._cache[next(iter(self._cache))]
        return caller

    def open_session(self, caller: Caller, on_end: Callable[[], None] = lambda: None) -> CallerSession:
        """A session for a connection or stream of this caller; close it with the connection.

        `on_end` is called within a few seconds after the credential expires or is revoked.
        """
        session = CallerSession(self, caller, on_end)
        if session.can_end:
            self._sessions.add(session)
            self._has_sessions.set()
        return session

    def forget(self, session: CallerSession) -> None:
        """Stop checking the credential of a session."""
        self._sessions.discard(session)
        if not self._sessions:
            self._has_sessions.clear()

    @property
    def session_count(self) -> int:
        """How many open sessions are checked for expiry and revocation."""
        return len(self._sessions)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """End sessions within this context when their credentials expire or are revoked."""
        task = self._supervisor.start("revocation", self._end_invalid_sessions)
        try:
            yield self
        finally:
            tasks = [task, *self._lookups.values()]
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _end_invalid_sessions(self) -> None:
        is_database_available = True
        while True:
            await self._has_sessions.wait()
            await asyncio.sleep(CHECK_INTERVAL)
            for session in [each for each in self._sessions if not each.is_valid]:
                session.end()
            try:
                async with asyncio.timeout(DATABASE_TIMEOUT):
                    await self._end_revoked_sessions()
                is_database_available = True
            except Exception as error:  # sessions stay open, and are checked again
                if is_database_available:
                    is_database_available = False
                    logger.warning("cannot check for revoked credentials", reason=type(error).__name__)

    async def _end_revoked_sessions(self) -> None:
        ids = {each.caller.credential for each in self._sessions if each.caller.credential is not None}
        if not ids or self._repository is None:
            return
        revoked = ids - await self._repository.credentials.find_valid(ids)
        if not revoked:
            return
        self._cache = {key: entry for key, entry in self._cache.items() if entry[0].credential not in revoked}
        for session in [each for each in self._sessions if each.caller.credential in revoked]:
            session.end()


def _unauthenticated(message: str, www_authenticate: str = "Bearer") -> RequestRefused:
    return RequestRefused(401, "UNAUTHENTICATED", message, www_authenticate=www_authenticate)


def _is_expired(caller: Caller) -> bool:
    return caller.expires_at is not None and time.time() >= caller.expires_at
