"""Follows a subscription over server-sent events, across reconnections."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import httpx2

from ingest.client import AWAY, ApiError, GraphQLClient, ServerUnavailable

_SILENCE_S = 40.0
"""The server says something every 15 s; after this long the connection counts as lost."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0
_PASSING = {"INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE"}

Json = dict[str, Any]
Trouble = Callable[[str | None], None]
"""Told what went wrong, and None once it is over."""


class _Lost(Exception):
    """The stream was cut off, or there is no server now; the message says how."""


async def follow(
    client: GraphQLClient,
    query: str,
    variables: Mapping[str, Any],
    *,
    wait: bool = True,
    trouble: Trouble = lambda _: None,
    is_over: Callable[[], bool] = lambda: False,
) -> AsyncGenerator[Json, None]:
    """The frames of a subscription that takes `$after`: behind the last one it goes on after a lost
    connection, until the server ends it and `is_over` agrees. Raises ApiError.

    Without `wait`, a server that is not there at the start raises ServerUnavailable.
    """
    pause, in_trouble, cursor = _FIRST_PAUSE_S, False, None
    while True:
        try:
            async with aclosing(_frames(client, query, {**variables, "after": cursor})) as frames:
                async for frame in frames:
                    if in_trouble:
                        pause, in_trouble = _FIRST_PAUSE_S, False
                        trouble(None)
                    if frame is not None:
                        cursor = frame["cursor"]
                        yield frame
            if is_over():
                return
            raise _Lost("the server ended the stream")
        except _Lost as lost:
            if cursor is None and not wait:
                raise ServerUnavailable(f"no server answers at {client.url} ({lost})") from None
            if not in_trouble:
                in_trouble = True
                what = f"No server at {client.url} yet" if cursor is None else "Connection lost"
                trouble(f"{what}, trying again … ({lost})")
        # A little chance keeps clients from coming back all at once.
        await asyncio.sleep(pause * random.uniform(0.5, 1))
        pause = min(pause * 2, _LONGEST_PAUSE_S)


async def _frames(
    client: GraphQLClient, query: str, variables: Mapping[str, Any]
) -> AsyncGenerator[Json | None, None]:
    """The frames of one connection, and None for a sign of life. Raises _Lost where it makes sense to try
    again, else ApiError."""
    url = client.url
    stream = client.http.stream(
        "POST",
        url,
        json={"query": query, "variables": variables},
        headers={"Accept": "text/event-stream"},
        timeout=httpx2.Timeout(10, read=_SILENCE_S),
    )
    try:
        async with stream as response:
            if response.status_code in AWAY:
                raise _Lost(f"status {response.status_code}")
            client.check_known(response)
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                raise ApiError(f"{url} is no GraphQL server (it answered with status {response.status_code})")
            async with aclosing(_events(response)) as events:
                async for event, data in events:
                    if event == "complete":
                        return
                    if event == "next":
                        yield _frame(json.loads(data))
                    elif event is None:
                        yield None
    except httpx2.TransportError as error:
        raise _Lost(str(error) or type(error).__name__) from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ApiError(f"{url}: {error}") from None
    raise _Lost("the stream was cut off")


def _frame(answer: Json) -> Json:
    if answer.get("errors"):
        first = answer["errors"][0]
        message, code = first.get("message", "unknown error"), (first.get("extensions") or {}).get("code")
        if code in _PASSING:
            raise _Lost(message)
        raise ApiError(message, code)
    frame: Json
    (frame,) = answer["data"].values()
    return frame


async def _events(response: httpx2.Response) -> AsyncGenerator[tuple[str | None, str], None]:
    """The server-sent events of a response, as name and data; a comment has no name. Read as bytes: texts
    may hold characters that Python, but not the protocol, takes for the end of a line."""
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
