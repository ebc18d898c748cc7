"""Follows a subscription over server-sent events and resumes it after a lost connection."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import httpx2

from ingest.client import UNAVAILABLE_STATUSES, ApiError, GraphQLClient, ServerUnavailable

_READ_TIMEOUT_S = 40.0
"""The server sends at least a comment every 15 s; after this time the connection counts as lost."""
_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.25, 5.0
_TRANSIENT = {"INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE", "TIMEOUT"}

Json = dict[str, Any]
OnInterruption = Callable[[str | None], None]
"""Called with the problem when the stream is interrupted, and with None when it has resumed."""


class _ConnectionLost(Exception):
    """The stream was interrupted or the server is unavailable."""


async def follow(
    client: GraphQLClient,
    query: str,
    variables: Mapping[str, Any],
    *,
    wait: bool = True,
    on_interruption: OnInterruption = lambda _: None,
    is_done: Callable[[], bool] = lambda: False,
    cursor_field: str | None = "cursor",
    after: str | int | None = None,
) -> AsyncGenerator[Json, None]:
    """The frames of a subscription with the variable `$after`, resumed after the last frame when the
    connection is lost, until the server ends the stream and `is_done` returns True. `cursor_field` is where
    a frame has its cursor; a stream without one restarts. Raises ApiError; without `wait`,
    ServerUnavailable if the server is unavailable at the start."""
    pause, interrupted, has_started, cursor = _FIRST_PAUSE_S, False, False, after
    while True:
        try:
            async with aclosing(_frames(client, query, {**variables, "after": cursor})) as frames:
                async for frame in frames:
                    if interrupted:
                        pause, interrupted = _FIRST_PAUSE_S, False
                        on_interruption(None)
                    if frame is not None:
                        has_started = True
                        cursor = frame[cursor_field] if cursor_field else None
                        yield frame
            if is_done():
                return
            raise _ConnectionLost("the server ended the stream")
        except _ConnectionLost as error:
            if not has_started and not wait:
                raise ServerUnavailable(f"no response from {client.url} ({error})") from None
            if not interrupted:
                interrupted = True
                problem = "Connection lost" if has_started else f"No response from {client.url}"
                on_interruption(f"{problem}, retrying … ({error})")
        # Jitter, so that clients do not all reconnect at once.
        await asyncio.sleep(pause * random.uniform(0.5, 1))
        pause = min(pause * 2, _MAX_PAUSE_S)


async def _frames(
    client: GraphQLClient, query: str, variables: Mapping[str, Any]
) -> AsyncGenerator[Json | None, None]:
    """The frames of one connection, and None for each comment. Raises _ConnectionLost if a retry may help,
    otherwise ApiError."""
    url = client.url
    stream = client.http.stream(
        "POST",
        url,
        json={"query": query, "variables": variables},
        headers={"Accept": "text/event-stream"},
        timeout=httpx2.Timeout(10, read=_READ_TIMEOUT_S),
    )
    try:
        async with stream as response:
            if response.status_code in UNAVAILABLE_STATUSES:
                raise _ConnectionLost(f"status {response.status_code}")
            client.check_authenticated(response)
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                raise ApiError(f"{url} is not a GraphQL server (status {response.status_code})")
            async with aclosing(_events(response)) as events:
                async for event, data in events:
                    if event == "complete":
                        return
                    if event == "next":
                        yield _frame(json.loads(data))
                    elif event is None:
                        yield None
    except httpx2.TransportError as error:
        raise _ConnectionLost(str(error) or type(error).__name__) from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ApiError(f"{url}: {error}") from None
    raise _ConnectionLost("the stream was cut off")


def _frame(answer: Json) -> Json:
    if answer.get("errors"):
        first = answer["errors"][0]
        message, code = first.get("message", "unknown error"), (first.get("extensions") or {}).get("code")
        if code in _TRANSIENT:
            raise _ConnectionLost(message)
        raise ApiError(message, code)
    frame: Json
    (frame,) = answer["data"].values()
    return frame


async def _events(response: httpx2.Response) -> AsyncGenerator[tuple[str | None, str], None]:
    """The server-sent events of a response as name and data; a comment has no name. Read as bytes: Python
    would also split lines at characters that do not end a line in the protocol."""
    event, data, rest = "message", "", b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            text = line.removesuffix(b"\r").decode()
            field, _, value = text.partition(":")
            if field == "event":
                event = value.removeprefix(" ")
            elif field == "data":
                data = value.removeprefix(" ")
            elif text.startswith(":"):
                yield None, ""
            elif not text:
                yield event, data
                event, data = "message", ""
