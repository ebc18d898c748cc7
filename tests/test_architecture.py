"""Who may import whom: graph → repo → database, and ingest as a client from outside."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import repo

ROOT = Path(__file__).parent.parent
PACKAGES = ("graph", "ingest", "repo")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
PURE = frozenset(
    f"repo.{name}"
    for name in ("access", "attempts", "errors", "identifiers", "models", "phases", "positions")
)


@dataclass(frozen=True)
class Room:
    """What the modules of one room may import beside the standard library."""

    libraries: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    """Packages of ours, with everything in them."""
    modules: frozenset[str] = field(default=frozenset())
    """Modules of ours, by exact name: `repo` is the public face and not what lies behind it."""

    def allows(self, module: str) -> bool:
        top = module.partition(".")[0]
        if top in PACKAGES:
            return top in self.packages or module in self.modules
        return top in self.libraries or top in sys.stdlib_module_names


GRAPH = Room(
    libraries=frozenset(
        "graphql orjson prometheus_client pydantic pydantic_settings rich starlette strawberry structlog"
        " typer uvicorn".split()
    ),
    packages=frozenset({"graph"}),
    modules=frozenset({"repo"}),
)
WATCH = Room(
    libraries=frozenset({"rich"}),
    modules=frozenset(
        "graph.watch_tree graph.watch_view ingest.client ingest.subscription"
        " repo.errors repo.identifiers repo.phases".split()
    ),
)
ROOMS = {
    **dict.fromkeys(PURE, Room(modules=PURE)),
    "repo": Room(libraries=frozenset({"alembic", "sqlalchemy", "structlog"}), packages=frozenset({"repo"})),
    # The bus has connections of its own, and is the only one that knows the broadcaster.
    "repo.bus": Room(
        libraries=frozenset({"asyncpg", "broadcaster", "redis", "structlog"}),
        modules=frozenset({"repo.errors", "repo.keepalive", "repo.postgres", "repo.supervision"}),
    ),
    # What a driver gives is read here, and what its errors mean is known there.
    **dict.fromkeys(
        ("repo.database", "repo.database_errors", "repo.drivers", "repo.postgres"),
        Room(libraries=frozenset({"asyncpg", "sqlalchemy"}), packages=frozenset({"repo"})),
    ),
    "graph": GRAPH,
    "graph.execution": Room(GRAPH.libraries | {"msgspec"}, GRAPH.packages, GRAPH.modules),
    "graph.json_numbers": Room(GRAPH.libraries | {"msgspec"}, GRAPH.packages, GRAPH.modules),
    # They are clients: of an OpenID provider, and of executors.
    "graph.oidc": Room(GRAPH.libraries | {"httpx2", "joserfc"}, GRAPH.packages, GRAPH.modules),
    "graph.jwt": Room(GRAPH.libraries | {"joserfc"}, GRAPH.packages, GRAPH.modules),
    "graph.webhook": Room(GRAPH.libraries | {"httpx2"}, GRAPH.packages, GRAPH.modules),
    # It is only imported where traces are wanted: what it needs is an extra.
    "graph.tracing": Room(GRAPH.libraries | {"opentelemetry"}, GRAPH.packages, GRAPH.modules),
    "graph.throttle": Room(GRAPH.libraries | {"limits", "redis"}, GRAPH.packages, GRAPH.modules),
    # It parses requests and writes the frames of websockets itself, below ASGI.
    "graph.server": Room(GRAPH.libraries | {"httptools", "websockets"}, GRAPH.packages, GRAPH.modules),
    # The command line starts everything, the importer and the demo too.
    "graph.cli": Room(GRAPH.libraries, GRAPH.packages | {"ingest"}, GRAPH.modules),
    # `rungraph watch` is a client of the API like any other: it knows nothing of the server behind it.
    **dict.fromkeys((f"graph.watch_{name}" for name in ("command", "tree", "view")), WATCH),
    "ingest": Room(
        libraries=frozenset({"httpx2", "orjson", "pydantic", "rich", "structlog", "typer"}),
        packages=frozenset({"ingest"}),
        modules=frozenset({"repo.identifiers", "repo.phases"}),
    ),
}


def room_of(module: str) -> Room:
    """The room with the longest name that the module lies in."""
    while module not in ROOMS:
        module = module.rpartition(".")[0]
    return ROOMS[module]


def imported_by(source: str) -> Iterator[str]:
    """The full names of the modules that this source imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = "." * node.level + (node.module or "")
            for alias in node.names:
                inner = f"{parent}.{alias.name}"
                is_public = parent == "repo" and alias.name in repo.__all__
                yield inner if inner in MODULES and not is_public else parent


def forbidden_imports(module: str, source: str) -> list[str]:
    """What this module imports and may not. Relative imports hide where they lead: they count too."""
    room = room_of(module)
    return [name for name in imported_by(source) if name.startswith(".") or not room.allows(name)]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    assert forbidden_imports(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("repo.phases", "import sqlalchemy", ["sqlalchemy"]),
        ("repo.attempts", "from repo.tables import actions", ["repo.tables"]),
        ("repo.actions", "from strawberry import relay", ["strawberry"]),
        ("repo.actions", "import graph.types", ["graph.types"]),
        ("repo.migrations.env", "from starlette import requests", ["starlette"]),
        ("graph.queries", "from sqlalchemy import select", ["sqlalchemy"]),
        ("graph.queries", "from repo.actions import ActionRepo", ["repo.actions"]),
        ("graph.queries", "from repo import listing", ["repo.listing"]),
        ("graph.queries", "def late():\n    from repo import tables", ["repo.tables"]),
        ("graph.queries", "import ingest", ["ingest"]),
        ("graph.queries", "from . import types", ["."]),
        ("ingest.demo", "from graph.settings import Settings", ["graph.settings"]),
        ("ingest.demo", "from repo import open_repository", ["repo"]),
    ],
)
def test_an_import_across_rooms_is_found(module: str, source: str, found: list[str]) -> None:
    assert forbidden_imports(module, source) == found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("repo.phases", "import enum\nfrom repo.errors import RepoError"),
        ("repo.actions", "from sqlalchemy.ext.asyncio import AsyncConnection\nfrom repo import tables"),
        ("graph.queries", "import repo\nfrom repo import ActionRepo, migrate\nimport strawberry.types"),
        ("graph.cli", "from ingest.demo import run"),
        ("ingest.demo", "import httpx2\nfrom repo.phases import ActionPhase\nfrom repo import identifiers"),
    ],
)
def test_an_import_within_the_rules_passes(module: str, source: str) -> None:
    assert forbidden_imports(module, source) == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_of_the_table_exists(room: str) -> None:
    assert room in MODULES


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_named_for_its_subject_and_says_what_it_owns(module: str) -> None:
    assert module.rpartition(".")[2] not in {"base", "common", "helpers", "manager", "misc", "utils"}
    source = MODULES[module].read_text()
    assert ast.get_docstring(ast.parse(source)) or not source
