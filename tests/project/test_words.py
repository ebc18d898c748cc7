"""The glossary: names and texts use standard terms. Add a word here when you replace it by one."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

NAMES = {
    "bells?|doorbells?|rings?|ringing": "notification, notify",
    "looks?(?! up)|sweeps?": "poll",
    "told": "notified, reported, or a noun such as output",
    "given|asked|heard|said": "a noun: arguments, settings, request, response, output",
    "given up|gave up": "failed",
    "^who$|^test who|whoever|(some|every|no)body": "caller, client, user, subscriber",
    "gone|away": "deleted, unavailable, closed",
    "gate|let in|admission|who calls": "authentication, session",
    "envelope": "request parsing",
    "ways? back|ways|anew": "return URL, redirect, again",
    "patience|impatient": "timeout, deadline",
    "throttle": "rate limit",
    "summing|figures?": "aggregate, metrics, measurements",
}
"""Matched against the words of a Python name: those of `_tellOfAborts` are "tell of aborts"."""
CLASSES = "Asked|Found|Given|Guard|Holds|Listener|Live|Moment|Piece|Position|Taken|Told|Written"

TEXTS = {
    r"(door)?bells?|ringing|(the|a) ring": "notification, notify",
    r"(the|a) (sweep|look)|looks? again": "poll",
    r"whoever|(some|any|every)body|who (asks|calls|watches)|what \w+ shows": "caller, client",
    r"(is|are|be|was|were) told(?! apart)|(tells?|told|hears?) of|asked for": "notify, request",
    r"what (comes|came) of|by whichever": "result; with any",
    r"given up|gave up": "failed after N attempts",
    r"(is|are|was) (gone|away)": "deleted, stopped, unavailable",
    r"let(s|ting)? (\w+ )?in|the (gate|way (in|out|back))": "authenticate, sign in, return URL",
    r"anew|begins again|goes on where": "again; restart, resume",
    r"patience|impatient": "timeout, deadline",
    r"summed up|come to together": "metrics, counts, aggregates",
}
"""Matched against docstrings, comments, messages, and all other files."""

FOLDERS = ("graph", "repo", "ingest", "client", "bench", "tests", "docs", "decisions", "deploy", "frontend")
SUFFIXES = {".md", ".graphql", ".ts", ".tsx", ".py", ".yaml", ".conf"}


def files(folder: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", folder], cwd=ROOT, capture_output=True, check=True
    )
    paths = [ROOT / name for name in listed.stdout.decode().splitlines()]
    skipped = ("/gql/", "test_words.py")
    return [
        path
        for path in paths
        if path.suffix in SUFFIXES and path.exists() and not any(each in str(path) for each in skipped)
    ]


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr


def texts(path: Path, source: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    is_product = path.relative_to(ROOT).parts[0] in ("graph", "repo", "ingest")
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) in docstrings or is_product:
                yield node.lineno, node.value


def findings(path: Path) -> Iterator[str]:
    source = path.read_text()
    place = path.relative_to(ROOT)
    if path.suffix != ".py":
        for number, line in enumerate(source.splitlines(), 1):
            yield from wrong(f"{place}:{number}", line, TEXTS)
        return
    tree = ast.parse(source)
    if (ast.get_docstring(tree) or "").startswith("Owns"):
        yield f"{place}:1: say what the module does instead of what it owns"
    for line_number, name in [(1, path.stem), *names(tree)]:
        words = " ".join(re.findall("[A-Z]?[a-z]+|[A-Z]+", name)).lower()
        yield from wrong(f"{place}:{line_number}", words, NAMES)
        if re.fullmatch(f"_?({CLASSES})", name):
            yield f"{place}:{line_number}: {name}: a standard noun, such as KeyFilter, Snapshot or Request"
    for line_number, text in texts(path, source, tree):
        yield from wrong(f"{place}:{line_number}", " ".join(text.split()), TEXTS)


def wrong(place: str, text: str, table: dict[str, str]) -> Iterator[str]:
    for pattern, instead in table.items():
        if found := re.search(rf"\b({pattern})\b", text, re.IGNORECASE):
            yield f"{place}: {text[:100]!r}: instead of {found[0]!r} write: {instead}"


@pytest.mark.parametrize("folder", [*FOLDERS, ":(glob)*.md schema.graphql"])
def test_names_and_texts_use_standard_terms(folder: str) -> None:
    found = [each for part in folder.split() for path in files(part) for each in findings(path)]
    assert not found, "\n".join(["", *found])
