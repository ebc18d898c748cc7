"""The distribution: what it installs and imports, and that its GraphQL fits the schema."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema, parse, validate
from rungraph import documents

from tests import ROOT
from tests.client.conftest import CLIENT

SOURCES = sorted((CLIENT / "rungraph").rglob("*.py"))
EVALUATED = {"__init__.py", "documents.py", "filters.py", "types.py", "values.py"}
"""Files without annotations, or with some that are evaluated."""


def modules_imported_by(source: str) -> set[str]:
    """The top-level modules, without relative imports and what is imported for type checkers only."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    nodes = list(ast.walk(tree))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CLIENT)))
def test_it_imports_the_standard_library_alone_and_parses_as_python_3_9(path: Path) -> None:
    source = path.read_text()
    ast.parse(source, feature_version=(3, 9))
    assert modules_imported_by(source) <= sys.stdlib_module_names
    assert "from __future__ import annotations" in source or path.name in EVALUATED
    assert len(source.splitlines()) <= 300


def test_the_server_imports_nothing_of_it() -> None:
    paths = [path for folder in ("graph", "repo", "ingest") for path in (ROOT / folder).rglob("*.py")]
    assert not [path for path in paths if "rungraph" in modules_imported_by(path.read_text())]


def test_it_installs_without_dependencies_and_with_one_top_level_name(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=CLIENT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {"rungraph", "rungraph_client-0.1.0.dist-info"}
    assert "rungraph/py.typed" in names
    empty = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(empty)], check=True)
    python = empty / "bin" / "python"
    install = ["-m", "pip", "--python", str(python), "install", "--no-index", "--quiet", str(wheel)]
    subprocess.run([sys.executable, *install], check=True, cwd=tmp_path)
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "list", "--format=freeze"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert listed.stdout.split() == ["rungraph-client==0.1.0"]
    lazily = """
import sys, rungraph
rungraph.track
assert not {"rungraph.reading", "asyncio", "http.client", "ssl"} & sys.modules.keys()
rungraph.Client
assert not {"asyncio", "ssl"} & sys.modules.keys()
rungraph.AsyncClient
"""
    subprocess.run([str(python), "-c", lazily], check=True, cwd=tmp_path)


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema((ROOT / "schema.graphql").read_text())


@pytest.mark.parametrize(
    "document",
    [
        *(value for name, value in vars(documents).items() if name.isupper() and not name.startswith("_")),
        *(documents.append_logs(count) for count in (1, 8)),
    ],
)
def test_its_operations_are_valid(schema: GraphQLSchema, document: str) -> None:
    assert validate(schema, parse(document)) == []
