"""Parses requests: content negotiation and GraphQL parameters."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from email.message import Message
from functools import lru_cache
from typing import Any

from starlette.requests import Request

from graph.errors import RequestRefused
from graph.execution import OperationRequest
from graph.item_errors import find_unstorable, path_extensions, path_text
from graph.limits.documents import MAX_QUERY_LENGTH
from graph.request_bodies import read_body
from graph.schema.types import json_numbers

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
HTML = "text/html"

MAX_JSON_DEPTH = 100
"""Maximum nesting of a JSON body; deeper ones would exhaust Python's stack."""
MAX_JSON_PARTS = 500_000
"""Maximum number of objects, lists and names in a body: enough for 5,000 complete items. Parsing that many
blocks the event loop for 0.1 s, no longer than the largest body of short strings."""

_LARGE = 256 * 1024
"""Bodies above this number of bytes are parsed in a thread."""

_NO_MARKS = bytes(set(range(256)) - set(b'"[{:'))
"""Bytes that are not counted as JSON structure."""

_SURROGATE = b"\\ud"
"""The start of an escaped surrogate in JSON."""

_QUALITY = re.compile(r"\s*(0(\.\d*)?|1(\.0*)?)", re.ASCII)

_NAMES = ("query", "variables", "operationName", "extensions")
_QUOTED = tuple(f'"{name}"'.encode() for name in _NAMES)


def negotiate(request: Request, offers: Sequence[str]) -> str:
    """The preferred media type; the first offer without a preference. Raises RequestRefused."""
    best = _best(_accept(request), tuple(offers))
    if best is None:
        raise RequestRefused(406, "NOT_ACCEPTABLE", f"Answers are {' or '.join(offers)}; accept one of them.")
    return best


def accepts(request: Request, media_type: str) -> bool:
    """Whether the client accepts this media type at any quality."""
    return _best(_accept(request), (media_type,)) is not None


def _accept(request: Request) -> str:
    return ", ".join(request.headers.getlist("accept")).lower()


@lru_cache
def _best(accept: str, offers: tuple[str, ...]) -> str | None:
    liked: dict[str, tuple[float, int]] = {}
    for position, text in enumerate(accept.split(",")):
        name, *parameters = (part.strip() for part in text.split(";"))
        if name:
            # Of two ranges with equal quality the first one counts.
            liked.setdefault(name, (_quality(parameters), -position))
    if not liked:
        return offers[0]

    def preference(offer: str) -> tuple[float, int]:
        ranges = (offer, f"{offer.partition('/')[0]}/*", "*/*")
        return next((liked[name] for name in ranges if name in liked), (0.0, 0))

    best = max(offers, key=preference)
    return best if preference(best)[0] > 0 else None


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.rstrip() == "q":
            return float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
    return 1.0


Resolve = Callable[[dict[str, Any]], None]
"""Sets `query` in the client's parameters. May raise RequestRefused."""


async def read_request(
    request: Request, max_body_bytes: int, turn: asyncio.Lock, resolve: Resolve
) -> OperationRequest:
    """The operation in a GET's URL or a POST's JSON body. Large bodies wait for their `turn` and are parsed
    in a thread. Raises RequestRefused."""
    is_large = False
    if request.method == "GET":
        found = _from_url(request)
    else:
        _check_headers(request)
        body = await read_body(request, max_body_bytes)
        is_large = len(body) >= _LARGE
        if is_large:
            async with turn:
                found = await asyncio.to_thread(_parse_body, body)
        else:
            found = _parse_body(body)
    resolve(found)
    return check_request(found, is_large)


def check_request(found: dict[str, Any], is_large: bool = False) -> OperationRequest:
    """The operation in a JSON object. Raises RequestRefused."""
    query = found.get("query")
    if not isinstance(query, str) or not query:
        raise _bad_request("`query` is missing: it must be a non-empty string.")
    if len(query) > MAX_QUERY_LENGTH:
        text = f"`query` is longer than {MAX_QUERY_LENGTH} characters: send long values as variables."
        raise _bad_request(text)
    operation_name = found.get("operationName")
    if operation_name is not None and not isinstance(operation_name, str):
        raise _bad_request("`operationName` must be a string or null.")
    variables, extensions = _object(found, "variables"), _object(found, "extensions")
    # Some clients send an empty operation name.
    return OperationRequest(query, variables, operation_name or None, extensions, is_large)


def _from_url(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in found and name in _NAMES:
            raise _bad_request(f"`{name}` is sent twice.")
        found[name] = value
    for name in ("variables", "extensions"):
        if name in found:
            found[name] = parse_json(found[name], f"`{name}`") if found[name] else None
    return found


def _check_headers(request: Request) -> None:
    _check_type(request.headers.get("content-type", ""))
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise _unsupported("The body must not be compressed.", accept_encoding="identity")


@lru_cache
def _check_type(content_type: str) -> None:
    message = Message()
    message["content-type"] = content_type
    if message.get_content_type() != JSON:
        raise _unsupported(f"The body must be {JSON}.")
    if message.get_content_charset("utf-8") not in ("utf-8", "utf8"):
        raise _unsupported("The body must be UTF-8.")


def _parse_body(body: bytes) -> dict[str, Any]:
    found = parse_json(body, "The body")
    if isinstance(found, list):
        raise _bad_request("Batches are not supported: send one operation per request.")
    if not isinstance(found, dict):
        raise _bad_request("The body must be a JSON object.")
    # Only bodies with duplicate names, mostly in the variables, are parsed twice.
    for quoted in _QUOTED:
        if body.count(quoted) > 1:
            _check_names(body)
            break
    return found


def _check_names(body: bytes) -> None:
    names = [name for name, _ in json.loads(body, object_pairs_hook=list)]
    for name in _NAMES:
        if names.count(name) > 1:
            raise _bad_request(f"`{name}` is sent twice.")


def parse_json(text: bytes | str, what: str) -> Any:
    """Parses strict JSON: UTF-8, without NaN, Infinity and lone surrogates."""
    data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    brackets = data.count(b"[") + data.count(b"{")
    # Few enough even if all were outside strings.
    are_few = len(data) <= MAX_JSON_PARTS or brackets + data.count(b":") <= MAX_JSON_PARTS
    if not are_few and count_parts(data) > MAX_JSON_PARTS:
        message = (
            f"{what} has more than {MAX_JSON_PARTS:,} objects, lists and names: send it in smaller requests."
        )
        raise _bad_request(message)
    try:
        value = json_numbers.loads(data)
    except ValueError as error:
        raise _no_json(data, what, error) from None
    if brackets > MAX_JSON_DEPTH:
        _check_depth(value, what)
    return value


def _no_json(data: bytes, what: str, error: ValueError) -> RequestRefused:
    """The message for invalid JSON. A lone surrogate, which some programs write, is reported with its
    position."""
    found = None
    if _SURROGATE in data.lower():
        with suppress(ValueError, RecursionError):
            found = find_unstorable(json.loads(data))
    if found is None:
        return _bad_request(f"{what} is not valid JSON: {error}")
    refusal = _bad_request(f"{what} has {found.reason} at {path_text(found.path)}.")
    refusal.extensions |= path_extensions(found.path)
    return refusal


def count_parts(data: bytes, at_once: int = 64 * 1024) -> int:
    """Counts objects, lists and names outside strings, up to MAX_JSON_PARTS. Processed in chunks, since each
    quote becomes an object meanwhile."""
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = data.translate(None, _NO_MARKS)
    count, is_text = 0, False
    for start in range(0, len(marks), at_once):
        pieces = marks[start : start + at_once].split(b'"')
        count += sum(map(len, pieces[is_text::2]))
        if count > MAX_JSON_PARTS:
            break
        is_text ^= len(pieces) % 2 == 0
    return count


def _check_depth(value: Any, what: str) -> None:
    level = [value]
    for _ in range(MAX_JSON_DEPTH + 1):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return
    raise _bad_request(f"{what} nests more than {MAX_JSON_DEPTH} levels deep.")


def _object(found: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = found.get(name)
    if value is not None and not isinstance(value, dict):
        raise _bad_request(f"`{name}` must be an object or null.")
    return value


def _bad_request(message: str) -> RequestRefused:
    return RequestRefused(400, "BAD_REQUEST", message)


def _unsupported(message: str, **headers: str) -> RequestRefused:
    return RequestRefused(415, "UNSUPPORTED_MEDIA_TYPE", message, **headers)
