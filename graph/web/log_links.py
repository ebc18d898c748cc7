"""Reads logs that executors linked, so that the web UI can show them: only links that are stored, to hosts
that the settings allow."""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass

import httpx2
import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

import repo
from graph.errors import RequestRefused
from graph.limits.clients import ClientLimits, Connection
from graph.outbound import AddressRefused, AllowedAddresses, Outbound, Resolve, parse_address
from graph.state import state_of

logger = structlog.get_logger("rungraph.log_links")

CUT_OFF = "rungraph.cut_off"
"""The extension of the ASGI scope by which a response that has begun ends without its rest."""
MAX_CONCURRENT = 32
"""Logs that a process reads at the same time."""

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)", re.ASCII)
_HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cache-Control": "private, no-store",
    "Accept-Ranges": "bytes",
}
_STATUS = {"NOT_FOUND": 404, "BAD_USER_INPUT": 400, "TIMEOUT": 503, "SERVICE_UNAVAILABLE": 503}


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """What a linked log may cost."""

    timeout: float
    """Seconds for all of a response."""
    max_bytes: int
    """Bytes of a response."""


class LogLinkEndpoint:
    """The ASGI application at /log-links."""

    def __init__(
        self,
        client_limits: ClientLimits,
        allowed: AllowedAddresses,
        limits: LinkLimits,
        *,
        allows_private: bool,
        resolve: Resolve | None = None,
    ) -> None:
        self._client_limits = client_limits
        self._allowed = allowed
        self._limits = limits
        self._outbound = Outbound(allows_private=allows_private, resolve=resolve, keeps_connections=False)
        self._open = 0

    def routes(self) -> list[BaseRoute]:
        """Its route."""
        return [Route("/log-links", self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        with self._client_limits.connection() as connection:
            try:
                connection.comes_from(request)
                url = await self._address(request, connection)
                await self._read(request, url, send)
            except RequestRefused as refusal:
                await _refused(refusal)(scope, receive, send)
            except repo.RepoError as error:
                status = _STATUS.get(error.code, 500)
                await _refused(RequestRefused(status, error.code, str(error)))(scope, receive, send)

    async def _address(self, request: Request, connection: Connection) -> httpx2.URL:
        """The address of the link that is requested. Raises RequestRefused or a RepoError."""
        if request.method != "GET":
            text = "Send GET requests to this address."
            raise RequestRefused(405, "METHOD_NOT_ALLOWED", text, allow="GET")
        state = state_of(request)
        caller = await state.authenticator.authenticate(request)
        connection.belongs_to(caller)
        await self._client_limits.admit(caller)
        url = parse_address(await _stored_link(request, state.repository.on_behalf_of(caller.access)))
        if url is None or not self._allowed.allow(url):
            text = (
                "This server does not read logs at this address. Open the link itself, or have its host "
                "added to RUNGRAPH_LOG_LINK_HOSTS."
            )
            raise RequestRefused(403, "LOG_LINK_REFUSED", text)
        return url

    async def _read(self, request: Request, url: httpx2.URL, send: Send) -> None:
        """Send the log, or the range of it. Raises RequestRefused before anything is sent."""
        wanted = request.headers.get("range")
        headers = {
            "Accept": "text/plain, */*;q=0.5",
            "Accept-Encoding": "identity",
            "Range": bounded_range(wanted, self._limits.max_bytes),
        }
        if self._open >= MAX_CONCURRENT:
            text = f"{MAX_CONCURRENT} linked logs are being read. Try again."
            raise RequestRefused(429, "RATE_LIMITED", text, retry_after="2")
        self._open += 1
        response: httpx2.Response | None = None
        try:
            until = asyncio.get_running_loop().time() + self._limits.timeout
            response = await self._begin(url, headers, until)
            status, passed_on = self._answer(response, wanted is not None)
            problem = await _stream(request, send, response, status, passed_on, until, self._limits.max_bytes)
            if problem is not None:
                # The address may contain a token.
                logger.warning("a linked log was cut off", host=url.host, reason=problem)
                if (cut_off := request.scope.get("extensions", {}).get(CUT_OFF)) is not None:
                    cut_off()
        finally:
            self._open -= 1
            if response is not None:
                with suppress(httpx2.HTTPError, OSError):
                    await response.aclose()

    async def _begin(self, url: httpx2.URL, headers: dict[str, str], until: float) -> httpx2.Response:
        """The response, its body not read."""
        try:
            async with asyncio.timeout_at(until):
                return await self._outbound.send("GET", url, headers)
        except (TimeoutError, httpx2.TimeoutException):
            raise _failed(f"it did not answer within {self._limits.timeout:g} s") from None
        except AddressRefused as refused:
            raise _failed(str(refused)) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            # The library's message may repeat the URL, which may contain a token.
            raise _failed(f"it cannot be reached: {type(error).__name__}") from None

    def _answer(self, response: httpx2.Response, is_range: bool) -> tuple[int, dict[str, str]]:
        """The status and the headers that describe what follows. Raises RequestRefused."""
        limit, headers, status = self._limits.max_bytes, response.headers, response.status_code
        if headers.get("content-encoding", "identity") != "identity":
            raise _failed("its answer is compressed")
        found = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        total = None if found is None else int(found[3])
        if status == 416 and total == 0 and not is_range:
            return 200, {"Content-Length": "0"}
        if status == 416:
            about = {} if total is None else {"Content_Range": f"bytes */{total}"}
            raise RequestRefused(416, "BAD_REQUEST", "The log has no such range of bytes.", **about)
        length = headers.get("content-length", "")
        size = int(length) if re.fullmatch(r"[0-9]{1,15}", length) else None
        if (status == 200 and size is not None and size > limit) or (
            status == 206 and not is_range and total is not None and total > limit
        ):
            text = f"The log has more than {limit} bytes. Request ranges of it, such as bytes=-65536."
            raise RequestRefused(413, "PAYLOAD_TOO_LARGE", text)
        if status == 206 and found is not None and found[1] is not None:
            count = int(found[2]) - int(found[1]) + 1
            if not 0 < count <= limit or int(found[2]) >= int(found[3]):
                raise _failed("its range is not one of the log")
            passed_on = {"Content-Length": str(count)}
            if not is_range:
                return 200, passed_on
            return 206, passed_on | {"Content-Range": headers["content-range"]}
        if status == 200:
            return 200, {} if size is None else {"Content-Length": str(size)}
        raise _failed(f"it answered {status}")


async def _stored_link(request: Request, repository: repo.ActionRepo) -> str:
    """The address of the link that the request names. Raises NotFound, or InvalidArgument."""
    parameters = request.query_params
    names = ("project", "domain", "runName", "name", "attempt", "link")
    if missing := [name for name in names if name not in parameters]:
        raise repo.InvalidArgument(f"the address lacks parameters: {', '.join(missing)}")
    action_id = repo.ActionIdentifier(
        parameters["project"], parameters["domain"], parameters["runName"], parameters["name"]
    )
    if not re.fullmatch(r"[0-9]{1,9}", parameters["attempt"]):
        raise repo.InvalidArgument("attempt must be the number of an attempt")
    attempt = int(parameters["attempt"])
    only = repo.AttemptRange(first=1, after=attempt - 1)
    found = await repository.events.list_attempts([action_id], only, frozenset({"attempt", "logs"}))
    for each in found[action_id]:
        for log in each.logs if each.attempt == attempt else ():
            if log.name == parameters["link"]:
                return log.uri
    raise repo.NotFound("the attempt has no such link to a log")


def bounded_range(header: str | None, limit: int) -> str:
    """The range to request for one that is wanted, of so many bytes at most. Raises RequestRefused."""
    found = _RANGE.fullmatch("bytes=0-" if header is None else header.replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        text = "Request a single range of bytes, such as bytes=0-65535 or bytes=-65536."
        raise RequestRefused(416, "BAD_REQUEST", text)
    if not found[1]:
        return f"bytes=-{min(int(found[2]), limit)}"
    start = int(found[1])
    end = start + limit - 1
    return f"bytes={start}-{min(end, int(found[2])) if found[2] else end}"


async def _stream(
    request: Request,
    send: Send,
    response: httpx2.Response,
    status: int,
    passed_on: dict[str, str],
    until: float,
    limit: int,
) -> str | None:
    """Send the response part by part. Returns why it could not be completed: then the connection has to be
    closed, so that clients notice."""
    head = [(name.lower().encode(), value.encode()) for name, value in (_HEADERS | passed_on).items()]
    await send({"type": "http.response.start", "status": status, "headers": head})
    left = int(passed_on.get("Content-Length", limit))
    try:
        async with asyncio.timeout_at(until):
            async for part in response.aiter_raw():
                if len(part) > left:
                    return "it is longer than announced or allowed"
                left -= len(part)
                await send({"type": "http.response.body", "body": part, "more_body": True})
                if await request.is_disconnected():
                    return None
    except TimeoutError:
        return "it took too long"
    except (httpx2.HTTPError, OSError) as error:
        return f"its server ended it: {type(error).__name__}"
    if left and "Content-Length" in passed_on:
        return "it is shorter than announced"
    await send({"type": "http.response.body", "body": b""})
    return None


def _failed(reason: str) -> RequestRefused:
    text = f"The server of the log failed: {reason}. Open the link itself."
    return RequestRefused(502, "LOG_LINK_FAILED", text)


def _refused(refusal: RequestRefused) -> Response:
    body = msgspec.json.encode({"errors": [{"message": str(refusal), "extensions": refusal.extensions}]})
    headers = _HEADERS | refusal.headers | {"Content-Type": "application/json"}
    return Response(body, refusal.status, headers)
