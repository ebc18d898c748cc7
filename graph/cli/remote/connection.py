"""Calls to a server from a command: its address and token, the output, and errors as one line and an exit
code."""

import asyncio
import codecs
import io
import json
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from graph.cli.commands import fail
from ingest import subscription
from ingest.client import ApiError, GraphQLClient
from repo.domain.identifiers import printable

T = TypeVar("T")
Json = dict[str, Any]

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes. WRONG_USE is also that of a run or action that does not exist."""
_MISTAKES = {"NOT_FOUND", "BAD_USER_INPUT"}
LATE_S = 1.0
"""Seconds for which a followed stream is read after its end was reported: reports may arrive late."""
_TOKEN_FILE = Path(".config", "rungraph", "token")
_CONTROLS = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What JSON need not escape: control characters, line ends, and the direction of text."""


def find_token(token: str | None, file: Path | None) -> str | None:
    """The token of the options, or else of RUNGRAPH_TOKEN, RUNGRAPH_TOKEN_FILE or the default file. Raises
    ValueError if a named file cannot be read."""
    if token is None and file is None:
        token = os.environ.get("RUNGRAPH_TOKEN", "").strip()
    named = file or os.environ.get("RUNGRAPH_TOKEN_FILE")
    if token or not named:
        return token or _read_default()
    try:
        return Path(named).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ValueError(f"cannot read the token in {named}: {reason}") from None


def _read_default() -> str | None:
    try:
        return (Path.home() / _TOKEN_FILE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError, RuntimeError):
        return None


@dataclass(frozen=True, slots=True)
class Server:
    """What the options of all commands say about the server."""

    url: str
    token: str | None

    @classmethod
    def of_options(cls, url: str, token: str | None, file: Path | None) -> Self:
        """Raises ValueError if a named file with a token cannot be read."""
        return cls(url, find_token(token, file))


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise


@dataclass(frozen=True, slots=True)
class Session:
    """A client of the server, and where to write to."""

    client: GraphQLClient
    console: Console
    notes: Console
    """Standard error."""

    async def execute(self, document: str, **variables: Any) -> Json:
        """The data of the response. Raises ApiError."""
        return await self.client.execute(document, variables)

    def follow(
        self, document: str, variables: Mapping[str, Any], **options: Any
    ) -> AsyncGenerator[Json, None]:
        """The frames of a subscription, as subscription.follow() returns them; notes lost connections."""
        options = {"wait": False, "on_interruption": self.note, **options}
        return subscription.follow(self.client, document, variables, **options)

    def print(self, text: Text | str) -> None:
        """Prints a line, as long as it is."""
        self.console.print(text, soft_wrap=True)

    def print_json(self, value: Json) -> None:
        """Prints an object in a line."""
        self.write(json_line(value))

    def write(self, text: str) -> None:
        """Writes the text as it is."""
        self.console.file.write(text)
        self.console.file.flush()

    def note(self, text: str | None) -> None:
        """Prints a line to standard error; does nothing for None."""
        if text is not None:
            self.notes.print(printable(text), soft_wrap=True)

    @property
    def width(self) -> int:
        """The columns of the terminal; without one, more than any line has."""
        return self.console.width if self.console.is_terminal else 100_000


def _simpler(error: UnicodeError) -> tuple[str, int]:
    """Replaces what the encoding of the terminal lacks: signs by similar ones, all else by question marks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return error.object[error.start : error.end].translate(_SIMILAR), error.end


class _Similar(dict[int, int | str]):
    def __missing__(self, key: int) -> str:
        return "?"


_SIMPLER = "rungraph.simpler"
_SIMILAR = _Similar(str.maketrans("○◌●‖✓✗■⇥━╌─├└│·…→", "oo*=+x#>=--|`|-~>"))
codecs.register_error(_SIMPLER, _simpler)


def json_line(value: Json) -> str:
    """The object as a line of JSON, without characters that would control a terminal or end the line, or
    that the encoding of the output lacks."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    text = json.dumps(value, ensure_ascii=not is_unicode, separators=(",", ":"))
    return (text if text.isprintable() else _CONTROLS.sub(_escaped, text)) + "\n"


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def call(server: Server, work: Callable[[Session], Coroutine[Any, Any, T]], *, wait: bool = False) -> T:
    """The result of `work`. With `wait`, an unavailable server is waited for. Ends the command after an
    error, which is printed as one line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # the terminal may lack characters of a name
            stream.reconfigure(errors=_SIMPLER)
    options: Json = {"highlight": False, "markup": False, "emoji": False}
    console, notes = _Console(**options), _Console(stderr=True, **options)

    async def run() -> T:
        async with client:
            result = await work(Session(client, console, notes))
        sys.stdout.flush()
        return result

    try:
        client = GraphQLClient(
            server.url,
            token=server.token,
            max_unavailable_s=float("inf") if wait else 0,
            on_status=lambda text: notes.print(printable(text), soft_wrap=True),
        )
    except ValueError as error:
        fail(str(error), WRONG_USE)
    try:
        return asyncio.run(run())
    except ApiError as error:
        fail(printable(str(error)), WRONG_USE if error.code in _MISTAKES else FAILED)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:  # the reader, such as `head`, has what it needs
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(DONE) from None
    except OSError as error:
        fail(f"cannot write the output: {error.strerror or error}", FAILED)


async def until(end: Coroutine[Any, Any, None], work: Coroutine[Any, Any, None]) -> None:
    """Runs `work` until `end` has returned, and LATE_S longer."""
    working, ending = asyncio.create_task(work), asyncio.create_task(end)
    try:
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            ending.result()
            await asyncio.wait({working}, timeout=LATE_S)
        if working.done():
            working.result()
    finally:
        working.cancel()
        ending.cancel()
        await asyncio.gather(working, ending, return_exceptions=True)
