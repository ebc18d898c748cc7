"""Owns `rungraph watch`: a client of the API that follows a run through lost connections."""

import asyncio
import io
import json
import random
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx2
from rich.console import Console
from rich.live import Live
from rich.text import Text

from graph.watch_tree import BAD, SUBSCRIPTION, WatchedAction, WatchedRun
from graph.watch_view import draw, harmless, plain_line, plain_summary
from ingest.client import ApiError, ServerAway, graphql_url
from repo.errors import InvalidArgument
from repo.identifiers import RunIdentifier

FRAMES_PER_SECOND = 4
_SILENCE_S = 40.0
"""The server says something every 15 s; after this long the connection counts as lost."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0
_AWAY = {429, 502, 503, 504}
_PASSING = {"INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE"}

Changed = Callable[[list[WatchedAction]], None]
Trouble = Callable[[str | None], None]
Following = Callable[[Changed, Trouble], Coroutine[None, None, None]]


class _Lost(Exception):
    """The stream was cut off, or there is no server now; the message says how."""


def run_identifier(
    path: str | None, project: str | None, domain: str | None, run: str | None
) -> RunIdentifier:
    """The run that is named by PROJECT/DOMAIN/RUN, where only RUN may hold slashes, or part by part.
    Raises ValueError."""
    parts = [project, domain, run]
    if path is not None and parts == [None] * 3:
        parts = [*path.split("/", 2), None, None][:3]
    elif path is not None or None in parts:
        raise ValueError("name the run as PROJECT/DOMAIN/RUN, or with --project, --domain and --run")
    given = [part for part in parts if part is not None]
    if len(given) != 3:
        raise ValueError(f"{path!r} is no run: name it as PROJECT/DOMAIN/RUN")
    try:
        return RunIdentifier(*given)
    except InvalidArgument as error:
        raise ValueError(str(error)) from None


def run_watch(run: RunIdentifier, *, url: str, wait: bool = True) -> int:
    """Watch a run from the command line until it has ended; the exit code. Raises ValueError where `url`
    is no address.

    0: it ended well. 1: it did not, or the server refused. 2: there is no such run. 130: interrupted.
    """
    url = graphql_url(url)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot write must end nothing
            stream.reconfigure(errors="replace")
    console = Console(highlight=False, markup=False, soft_wrap=False)
    notes = Console(stderr=True, highlight=False, markup=False)
    try:
        return asyncio.run(watch_run(run, url=url, wait=wait, console=console, notes=notes))
    except ApiError as error:
        notes.print(f"rungraph: {harmless(str(error))}", soft_wrap=True)
        return 2 if error.code == "NOT_FOUND" else 1
    except KeyboardInterrupt:
        return 130


async def watch_run(
    run_id: RunIdentifier, *, url: str, wait: bool = True, console: Console, notes: Console
) -> int:
    """Watch a run until it has ended; the exit code, as of run_watch. Raises ApiError."""
    run = WatchedRun(str(run_id))
    following = partial(follow, run, run_id, url, wait)
    if console.is_interactive:
        await _show_live(run, following, console)
    else:
        await _print_changes(run, following, console, notes)
    return 0 if run.ended_well else 1


async def _show_live(run: WatchedRun, following: Following, console: Console) -> None:
    """Keep a picture of the run in the terminal up to date; the last one stays."""
    trouble: str | None = None

    def note(text: str | None) -> None:
        nonlocal trouble
        trouble = text

    def picture() -> Text:
        size = console.size
        return draw(run, size.width, size.height - 1, datetime.now(UTC), trouble)

    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        task = asyncio.create_task(following(lambda changed: None, note))
        try:
            while not task.done():
                live.update(picture(), refresh=True)
                await asyncio.wait({task}, timeout=1 / FRAMES_PER_SECOND)
            task.result()
            live.update(picture(), refresh=True)
        except ApiError:
            live.transient = True  # what is said instead follows
            raise
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _print_changes(run: WatchedRun, following: Following, console: Console, notes: Console) -> None:
    """A line for each change, and how things stand at the start and at the end."""
    said: dict[str, tuple[object, ...]] = {}
    began = False

    def say(changed: list[WatchedAction]) -> None:
        nonlocal began
        for action in changed:
            news = (action.phase, action.attempts, action.abort, action.error)
            # Of what was there at the start, only what failed is news; after a new start, what is new.
            if said.get(action.name) != news and (began or action.phase in BAD):
                console.print(plain_line(action), soft_wrap=True)
            said[action.name] = news
        if run.synced and not began:
            began = True
            if not run.ended:
                console.print(plain_summary(run, datetime.now(UTC)), soft_wrap=True)

    def note(text: str | None) -> None:
        if text:
            notes.print(harmless(text), soft_wrap=True)

    await following(say, note)
    console.print(plain_summary(run, datetime.now(UTC)), soft_wrap=True)


async def follow(
    run: WatchedRun, run_id: RunIdentifier, url: str, wait: bool, changed: Changed, trouble: Trouble
) -> None:
    """Keep `run` up to date until it has ended, through whatever happens to the server.

    `changed` is called after each frame; `trouble` with what went wrong, and with None once it is over.
    Without `wait`, a server that is not there at the start raises ServerAway.
    """
    pause, in_trouble = _FIRST_PAUSE_S, False
    timeout = httpx2.Timeout(10, read=_SILENCE_S)
    # The server is the user's own: a proxy from the environment is not asked.
    async with httpx2.AsyncClient(timeout=timeout, trust_env=False) as http:
        while True:
            try:
                async with aclosing(_frames(http, url, run_id, run.cursor)) as frames:
                    async for frame in frames:
                        changes = run.apply(frame)
                        if in_trouble:
                            pause, in_trouble = _FIRST_PAUSE_S, False
                            trouble(None)
                        changed(changes)
                if run.ended:
                    return
                raise _Lost("the server ended the stream")
            except _Lost as lost:
                if run.cursor is None and not wait:
                    raise ServerAway(f"no server answers at {url} ({lost})") from None
                if not in_trouble:
                    in_trouble = True
                    what = f"No server at {url} yet" if run.cursor is None else "Connection lost"
                    trouble(f"{what}, trying again … ({lost})")
            # A little chance keeps clients from coming back all at once.
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, _LONGEST_PAUSE_S)


async def _frames(
    http: httpx2.AsyncClient, url: str, run_id: RunIdentifier, after: str | None
) -> AsyncGenerator[dict[str, Any], None]:
    """The frames of one connection. Raises _Lost where it makes sense to try again, else ApiError."""
    name = {"project": run_id.project, "domain": run_id.domain, "name": run_id.name}
    question = {"query": SUBSCRIPTION, "variables": {"run": name, "after": after}}
    try:
        async with http.stream(
            "POST", url, json=question, headers={"Accept": "text/event-stream"}
        ) as response:
            if response.status_code in _AWAY:
                raise _Lost(f"status {response.status_code}")
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                raise ApiError(f"{url} is no GraphQL server (it answered with status {response.status_code})")
            async with aclosing(_events(response)) as events:
                async for event, data in events:
                    if event == "complete":
                        return
                    if event == "next":
                        yield _frame(json.loads(data))
    except httpx2.TransportError as error:
        raise _Lost(str(error) or type(error).__name__) from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ApiError(f"{url}: {error}") from None
    raise _Lost("the stream was cut off")


def _frame(answer: dict[str, Any]) -> dict[str, Any]:
    if answer.get("errors"):
        first = answer["errors"][0]
        message, code = first.get("message", "unknown error"), (first.get("extensions") or {}).get("code")
        if code in _PASSING:
            raise _Lost(message)
        raise ApiError(message, code)
    frame: dict[str, Any] = answer["data"]["actions"]
    return frame


async def _events(response: httpx2.Response) -> AsyncGenerator[tuple[str, str], None]:
    """The server-sent events of a response, as name and data. Read as bytes: texts may hold characters
    that Python, but not the protocol, takes for the end of a line."""
    event, data, rest = "message", "", b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            field, _, value = line.removesuffix(b"\r").decode().partition(":")
            if field == "event":
                event = value.removeprefix(" ")
            elif field == "data":
                data = value.removeprefix(" ")
            elif not field and not value:
                yield event, data
                event, data = "message", ""
