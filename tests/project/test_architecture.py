"""The modules: their names and docstrings, and what importing them loads."""

import ast
import re
import subprocess
import sys

import pytest

import repo
from tests import ROOT

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("graph", "ingest", "repo", "client")
    for path in sorted((ROOT / package).rglob("*.py"))
}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_specific_name_and_a_docstring(module: str) -> None:
    assert module.rpartition(".")[2] not in {"base", "common", "helpers", "manager", "misc", "utils"}
    source = MODULES[module].read_text()
    assert ast.get_docstring(ast.parse(source)) or not source


def test_no_tracked_file_is_one_that_git_ignores() -> None:
    """Such as an environment, which was installed."""
    listing = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout == b""


def test_only_migrations_and_health_checks_distinguish_databases_outside_of_repo_sql() -> None:
    paths = [*(ROOT / "repo").rglob("*.py")]
    found = {
        str(path.relative_to(ROOT / "repo"))
        for path in paths
        if {"is_sqlite", "dialect", "dialects"} & set(re.findall(r"\w+", path.read_text()))
    }
    assert {name for name in found if not name.startswith(("sql/", "migrations/versions/"))} == {
        "health.py",
        "migration.py",
        "migrations/env.py",
    }


def loaded_by(code: str) -> set[str]:
    """The top-level packages that a new process has loaded after running the code."""
    printing = f"{code}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", printing], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_domain_imports_only_the_standard_library() -> None:
    modules = sorted(name for name in MODULES if name.startswith("repo.domain."))
    loaded = loaded_by(f"import {', '.join(modules)}") - loaded_by("pass")
    assert {name for name in loaded if name not in sys.stdlib_module_names} == {"repo"}


def test_the_command_line_imports_no_server_before_a_command_runs() -> None:
    loaded = loaded_by("import graph.cli.main")
    assert not loaded & {
        "alembic",
        "asyncpg",
        "broadcaster",
        "graphql",
        "httpx2",
        "pydantic",
        "redis",
        "rich",
        "sqlalchemy",
        "starlette",
        "strawberry",
        "uvicorn",
    }


def test_a_demo_on_a_running_server_loads_no_server() -> None:
    code = """import contextlib
from graph.cli.main import app
with contextlib.suppress(SystemExit, Exception): app(["demo", "--url", "ftp://nowhere"])
assert "ingest.demo.executor" in __import__("sys").modules
pass"""
    assert not loaded_by(code) & {"sqlalchemy", "strawberry", "uvicorn"}


def test_a_server_loads_only_what_its_settings_need() -> None:
    loaded = loaded_by("from graph.app import create_app, Settings; create_app(Settings())")
    assert not loaded & {"alembic", "cryptography", "joserfc", "opentelemetry", "redis"}


def test_the_lazy_names_of_repo_are_those_of_type_checkers() -> None:
    (block,) = (node for node in ast.parse(MODULES["repo"].read_text()).body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert {(alias.name, node.module) for node in imports for alias in node.names} == set(repo.HOMES.items())
    assert all(hasattr(repo, name) for name in repo.HOMES)
