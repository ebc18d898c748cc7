"""Owns the gate: who calls, by what they show, and for how long that lets them in.

What was found is kept for a moment, so that a call costs no read. A credential that is revoked or expires
ends what goes on with it: each frame is checked, and every few seconds all that is open.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar

import structlog
from starlette.requests import HTTPConnection

import repo
from graph.auth.caller import ANYBODY, Caller
from graph.transport.request import RequestRefused
from graph.web.security import is_of_another_site

logger = structlog.get_logger("rungraph.gate")

T = TypeVar("T")

COOKIE = "rungraph"
"""The cookie that a browser shows over http."""
SECURE_COOKIE = "__Host-rungraph"
"""The cookie that a browser shows over https: no other site, and no other name of this one, can set it."""

_KEPT_FOR = 2.0
"""Seconds for which it is known who showed what."""
_MOST_KEPT = 10_000
"""How many callers are known at a time."""
_CHECK_EVERY = 2.0
"""Seconds between two looks whether what goes on may still go on."""
_DATABASE_WITHIN = 2.0
"""Seconds that the database has to say which credentials hold."""

_SECRET = re.compile(r"rgs?_[\w-]{43}", re.ASCII)
"""What the secret of a stored credential looks like."""

_NOT_SHOWN = "Say who you are: send the header `Authorization: Bearer …` with an API token."
_OF_ANOTHER_SITE = "A page of another site sent this, and may not act for who is signed in here."
_NOT_GOOD = "What you showed is not known, has expired or was revoked."


class Admission:
    """Somebody was let in, for as long as a connection lasts and what they showed holds."""

    __slots__ = ("_gate", "_is_over", "_on_end", "_waiting", "caller")

    def __init__(self, gate: "Gate", caller: Caller, on_end: Callable[[], None]) -> None:
        self.caller = caller
        self._gate = gate
        self._on_end = on_end
        self._is_over = False
        self._waiting: asyncio.Timeout | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    @property
    def may_end(self) -> bool:
        """Whether it could end before the connection does."""
        return self.caller.credential is not None or self.caller.expires_at is not None

    @property
    def holds(self) -> bool:
        """Whether they may still be sent something."""
        expires_at = self.caller.expires_at
        return not self._is_over and (expires_at is None or time.time() < expires_at)

    def end(self) -> None:
        """What they showed holds no more."""
        self._is_over = True
        self._gate.forget(self)
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())
        self._on_end()

    def leave(self) -> None:
        """Their connection is over."""
        self._gate.forget(self)

    async def guard(self, results: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """The results for as long as it holds. Raises RequestRefused when that is over, also where it waits
        for one."""
        if not self.may_end:
            async for result in results:
                yield result
            return
        while self.holds:
            try:
                async with asyncio.timeout(None) as self._waiting:
                    result = await anext(results)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if self._is_over:
                    break
                raise  # it is one of the results'
            finally:
                self._waiting = None
            if self.holds:
                yield result
        raise refusal(_NOT_GOOD)


class Gate:
    """Finds who calls.

    `repository` holds the credentials; without it nobody is asked who they are. `jwt` finds who shows a
    bearer token that is none of ours, or raises RequestRefused. `cookie` is the name of the one that
    browsers show.
    """

    def __init__(
        self,
        repository: repo.ActionRepo | None,
        *,
        jwt: Callable[[str], Awaitable[Caller]] | None = None,
        cookie: str = COOKIE,
        on_refused: Callable[[HTTPConnection], None] = lambda _: None,
        supervisor: repo.Supervisor | None = None,
    ) -> None:
        """`on_refused` is told of who showed something that is not good."""
        self._supervisor = supervisor or repo.Supervisor()
        self.cookie = cookie
        self._repository = repository
        self._jwt = jwt
        self._on_refused = on_refused
        # By the hash of what was shown: no secret is kept here.
        self._found: dict[bytes, tuple[Caller, float]] = {}
        self._looking: dict[bytes, asyncio.Task[Caller | None]] = {}
        self._admitted: set[Admission] = set()
        self._somebody = asyncio.Event()

    async def caller(self, connection: HTTPConnection, given: str | None = None) -> Caller:
        """Who calls. They show it by a header, or as `given` where a browser can send no header, as
        "Bearer …"; else by a cookie. Raises RequestRefused: whoever shows something that is not good is not
        taken for somebody else."""
        if self._repository is None:
            return ANYBODY
        shown = connection.headers.get("authorization") or given
        if shown is not None:
            scheme, _, secret = shown.partition(" ")
            secret = secret.strip() if scheme.lower() == "bearer" else ""
        elif cookies := _cookies(connection, self.cookie):
            # The browser shows it whoever made it send this; those of a websocket have a check of their own.
            if connection.scope.get("method") == "POST" and is_of_another_site(connection):
                raise RequestRefused(403, "FORBIDDEN", _OF_ANOTHER_SITE)
            # Of two, one may have been put there by a neighbouring site, and nobody can tell which.
            secret = cookies[0] if len(cookies) == 1 else ""
        else:
            raise refusal(_NOT_SHOWN)
        key = hashlib.sha256(secret.encode(errors="replace")).digest()
        kept = self._found.get(key)
        if kept is not None and time.monotonic() < kept[1] and _is_in_time(kept[0]):
            return kept[0]
        try:
            caller = await self._look_up(key, secret)
        except RequestRefused as refused:
            if refused.status == 401:
                self._on_refused(connection)
            raise
        except repo.DatabaseUnavailable as error:
            raise RequestRefused(503, error.code, str(error), retry_after="1") from error
        if caller is None:
            self._on_refused(connection)
            raise refusal(_NOT_GOOD, 'Bearer error="invalid_token"')
        return caller

    async def _look_up(self, key: bytes, secret: str) -> Caller | None:
        """Who has this secret: one look for all who show it at the same time."""
        looking = self._looking.get(key)
        if looking is None:
            looking = self._looking[key] = asyncio.create_task(self._find(key, secret))
            looking.add_done_callback(lambda done: self._looked(key, done))
        return await asyncio.shield(looking)

    def _looked(self, key: bytes, done: asyncio.Task[Caller | None]) -> None:
        del self._looking[key]
        if not done.cancelled():
            done.exception()  # was told to those who wait, or to nobody where all of them went away

    async def _find(self, key: bytes, secret: str) -> Caller | None:
        assert self._repository is not None
        caller = None
        if _SECRET.fullmatch(secret):
            credential = await self._repository.find_credential(secret)
            caller = None if credential is None else _caller(credential)
        elif self._jwt is not None:
            caller = await self._jwt(secret)
        # At the end again: those that nobody shows any more are the first to go.
        self._found.pop(key, None)
        if caller is not None:
            self._found[key] = caller, time.monotonic() + _KEPT_FOR
            if len(self._found) > _MOST_KEPT:
                del self._found[next(iter(self._found))]
        return caller

    def admit(self, caller: Caller, on_end: Callable[[], None] = lambda: None) -> Admission:
        """Let them in for longer than one answer. `on_end` is called once what they showed holds no more,
        a few seconds later at most; whoever leaves before says so."""
        admission = Admission(self, caller, on_end)
        if admission.may_end:
            self._admitted.add(admission)
            self._somebody.set()
        return admission

    def forget(self, admission: Admission) -> None:
        """They are not here any more."""
        self._admitted.discard(admission)
        if not self._admitted:
            self._somebody.clear()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Self]:
        """See to it, for so long, that what goes on ends when it may not go on."""
        task = self._supervisor.start("revocation", self._watch)
        try:
            yield self
        finally:
            ending = [task, *self._looking.values()]
            for each in ending:
                each.cancel()
            await asyncio.gather(*ending, return_exceptions=True)

    async def _watch(self) -> None:
        could_ask = True
        while True:
            await self._somebody.wait()
            await asyncio.sleep(_CHECK_EVERY)
            for admission in [each for each in self._admitted if not each.holds]:
                admission.end()
            try:
                async with asyncio.timeout(_DATABASE_WITHIN):
                    await self._end_revoked()
                could_ask = True
            except Exception as error:  # whatever it is: who is here stays, and is asked about again
                if could_ask:
                    could_ask = False
                    reason = type(error).__name__
                    logger.warning("cannot tell which credentials were revoked", reason=reason)

    async def _end_revoked(self) -> None:
        ids = {each.caller.credential for each in self._admitted if each.caller.credential is not None}
        if not ids or self._repository is None:
            return
        revoked = ids - await self._repository.which_credentials_hold(ids)
        if not revoked:
            return
        self._found = {k: kept for k, kept in self._found.items() if kept[0].credential not in revoked}
        for admission in [each for each in self._admitted if each.caller.credential in revoked]:
            admission.end()


def refusal(message: str, www_authenticate: str = "Bearer") -> RequestRefused:
    """The answer to somebody who does not show who they are."""
    return RequestRefused(401, "UNAUTHENTICATED", message, www_authenticate=www_authenticate)


def _cookies(connection: HTTPConnection, name: str) -> list[str]:
    """The values of the cookies of this name that are not empty."""
    pairs = (pair.partition("=") for text in connection.headers.getlist("cookie") for pair in text.split(";"))
    return [found for key, _, value in pairs if key.strip() == name and (found := value.strip())]


def _is_in_time(caller: Caller) -> bool:
    return caller.expires_at is None or time.time() < caller.expires_at


def _caller(credential: repo.Credential) -> Caller:
    expires_at = credential.expires_at
    if credential.kind is repo.CredentialKind.TOKEN:
        key = f"token:{credential.id}"
    else:
        # One person with several browsers is one caller.
        key = f"user:{credential.identity.subject}"
    return Caller(
        credential.identity,
        credential.access,
        key,
        credential.id,
        None if expires_at is None else expires_at.timestamp(),
    )
