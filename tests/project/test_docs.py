"""The documentation: its queries and commands work, its links and names exist, and it is current."""

import ast
import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from graphql import build_schema, parse, validate

from graph.cli.main import app
from graph.errors import CODES
from graph.settings import PREFIX, Settings
from repo import RunIdentifier, migrate, open_repository
from tests import ROOT
from tests.support import forking
from tests.support.client import GraphQLClient
from tests.support.making import make_run
from tests.support.server_process import RUNGRAPH, server_process
from tests.support.sockets import connected

PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("decisions/*.md")]
}
CURRENT = {name: text for name, text in PAGES.items() if name != "CHANGELOG.md"}
"""All pages except the changelog, which names removed things."""

COMMAND = typer.main.get_command(app)
SOURCES = {
    str(path.relative_to(ROOT)): path.read_text()
    for package in ("graph", "repo", "ingest", "client", "bench", "tests")
    for path in (ROOT / package).rglob("*.py")
}
DEFINED = set(
    re.findall(
        r"^\s*(?:async def|def|class) (\w+)|^(\w+)(?:: [^=]+)? = ", "\n".join(SOURCES.values()), re.MULTILINE
    )
)
CLIENT_SETTINGS = {
    name
    for path, source in SOURCES.items()
    if path.startswith("client/")
    for name in re.findall(rf"\"{PREFIX}([A-Z_]+)\"", source)
}
NAMES = {name for pair in DEFINED for name in pair}


def graphql_in(page: str) -> list[str]:
    found: list[str] = re.findall(r"```graphql\n(.*?)```", PAGES[page], re.DOTALL)
    return found


def code_in(page: str) -> list[str]:
    """The inline code of a page."""
    text = re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL)
    return [re.sub(r"\s+", " ", code) for code in re.findall(r"`([^`]+)`", text)]


def indented(page: str) -> str:
    """The lines of its indented blocks, with continued lines joined."""
    lines = re.findall(r"^ {4,}(\S.*)$", PAGES[page], re.MULTILINE)
    return "\n".join(lines).replace("\\\n", " ")


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").exists()


def anchors(page: str) -> set[str]:
    """The anchors of its headings, as on GitHub."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


async def answers(client: GraphQLClient, page: str) -> list[dict[str, Any]]:
    """The results of a page's operations in order, without subscriptions."""
    found = []
    for document in graphql_in(page):
        if not document.startswith("subscription"):
            body = await client.execute(document)
            assert "errors" not in body, (document, body)
            found.append(body["data"])
    return found


async def test_the_tour_of_the_readme_works_when_pasted(client: GraphQLClient) -> None:
    create, progress, read = await answers(client, "README.md")
    assert create["report"]["created"] == 2
    assert progress["report"]["applied"] == 2
    assert read["run"]["phase"] == "RUNNING"
    assert [child["phase"] for child in read["run"]["rootAction"]["children"]["nodes"]] == ["SUCCEEDED"]


async def test_the_tutorial_works_when_pasted(client: GraphQLClient) -> None:
    start, progress, report, retry, read, history, find, state, abort, confirm = await answers(
        client, "docs/tutorial.md"
    )
    assert start["createActions"]["created"] == 3
    assert progress["updateActionPhases"]["applied"] == 3
    assert report["insertEvents"] == {"inserted": 2, "duplicates": 0}
    assert [retry[name]["applied"] for name in ("failed", "late", "retried")] == [True, False, True]
    assert retry["failed"]["action"]["error"]["code"] == "DUPLICATE_KEY"
    assert retry["retried"]["action"]["error"] is None
    assert read["run"]["rootAction"]["children"]["totalCount"] == 2
    assert [attempt["phase"] for attempt in history["action"]["attemptHistory"]] == ["FAILED"]
    assert [run["name"] for run in find["runs"]["nodes"]] == ["sales-1"]
    assert state["updateActionState"]["action"]["state"] == '{"checkpoint": 17}'
    assert abort["abortRuns"] == {"matched": 1, "requested": 0}
    assert abort["abortRun"]["run"]["abort"]["state"] == "REQUESTED"
    assert confirm["clearAbortRequest"]["action"]["abort"]["state"] == "CONFIRMED"


async def run(*command: str, **environment: str) -> str:
    """The output of a command, which must succeed."""
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert process.returncode == 0, command
    return printed.decode().strip()


async def test_subscriptions_and_commands_for_curl_work_on_a_server(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rungraph.db"
    await migrate(url)
    async with open_repository(url) as repository:
        await make_run(repository)
        await make_run(repository, RunIdentifier("search", "development", "trials"))
    settings = {"RUNGRAPH_DATABASE_URL": url, "RUNGRAPH_AUTH": "token"}
    token = await run(RUNGRAPH, "token", "create", "--name", "test", "--role", "admin", **settings)
    documents = [each for page in PAGES for each in graphql_in(page) if each.startswith("subscription")]
    lines = [line for page in PAGES for line in indented(page).splitlines() if line.startswith("curl ")]
    assert documents
    assert lines
    async with server_process(settings, token=token) as server:
        for document in documents:
            async with connected(server.url, headers=server.headers) as socket:
                await socket.subscribe("1", document)
                await socket.data("1")
        for line in lines:
            # The server of this test needs the header even if the page omits it.
            authorized = line if "Authorization" in line else f'{line} -H "Authorization: Bearer $TOKEN"'
            command = authorized.replace("http://127.0.0.1:8000", server.address)
            answer = await run("bash", "-euc", command, PATH=os.environ["PATH"], TOKEN=token)
            assert "errors" not in json.loads(answer), answer


async def test_the_script_of_the_docs_reports_itself(tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", PAGES["docs/executors.md"], re.DOTALL)
    async with server_process({"RUNGRAPH_DATABASE_URL": f"sqlite:///{tmp_path}/rungraph.db"}) as server:
        quick = script.replace("http://127.0.0.1:8000", server.address).replace("time.sleep(1)", "pass")
        await run(sys.executable, "-c", quick)
        answer = await server.ask(
            """{ runs(first: 1) { nodes { phase executor rootAction { children { nodes {
                 phase progress { done } metrics { last } artifacts { json }
                 attemptHistory { logSummary { lineCount } } } } } } } }"""
        )
    (found,) = answer.json()["data"]["runs"]["nodes"]
    assert found["phase"] == "SUCCEEDED"
    assert found["executor"]
    assert found["rootAction"]["children"]["nodes"] == [
        {
            "phase": "SUCCEEDED",
            "progress": {"done": 5},
            "metrics": [{"last": 1000}],
            "artifacts": [{"json": {"rows": 1000}}],
            "attemptHistory": [{"logSummary": {"lineCount": 5}}],
        }
    ]


async def test_the_commands_for_a_terminal_work_after_the_tour(tmp_path: Path) -> None:
    lines = [line for line in indented("docs/terminal.md").splitlines() if line.startswith("rungraph ")]
    commands = [shlex.split(line.partition(" | ")[0])[1:] for line in lines]
    assert {words[0] for words in commands} >= {"list", "get", "events", "logs", "abort", "watch"}
    async with server_process({"RUNGRAPH_DATABASE_URL": f"sqlite:///{tmp_path}/rungraph.db"}) as server:
        for document in graphql_in("README.md"):
            if document.startswith("mutation"):
                assert "errors" not in (await server.ask(document)).json()
        environment = {**os.environ, "RUNGRAPH_URL": server.address, "HOME": str(tmp_path)}
        for words in commands:
            done = await asyncio.to_thread(forking.run, *words, environment=environment)
            # The run is aborted meanwhile: it has not succeeded.
            assert done.returncode == (1 if words[0] == "watch" else 0), (words, done)
            assert "rungraph: " not in done.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if graphql_in(page)])
def test_every_operation_is_valid(page: str) -> None:
    schema = build_schema((ROOT / "schema.graphql").read_text())
    for document in graphql_in(page):
        assert validate(schema, parse(document)) == []


@pytest.mark.parametrize("page", CURRENT)
def test_every_command_and_option_exists(page: str) -> None:
    lines = [*indented(page).splitlines(), *code_in(page)]
    for line in lines:
        for text in re.findall(r"(?:\.venv/bin/|^|\* +|-- |=\S* )rungraph ([a-z][^#)]*)", line):
            words = text.split()
            command: Any = COMMAND
            while hasattr(command, "commands"):
                command = command.commands[words.pop(0)]
                if not words:
                    break
            options = {option for each in command.params for option in [*each.opts, *each.secondary_opts]}
            assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options, line


@pytest.mark.parametrize("page", CURRENT)
def test_every_make_target_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+)\b.*:(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    targets |= {"bench-quick"}
    named = {
        each for text in [indented(page), *code_in(page)] for each in re.findall(r"\bmake ([a-z-]+)", text)
    }
    assert named <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_link_has_a_target(page: str) -> None:
    for link in re.findall(r"(?:\]\(|src(?:set)?=\")([^)\"\s]+)[)\"]", PAGES[page]):
        if link.startswith(("http", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        path = ((ROOT / page).parent / target).resolve() if target else ROOT / page
        assert path.exists(), link
        if anchor:
            assert anchor in anchors(str(path.relative_to(ROOT))), link


def test_every_setting_of_the_client_is_in_its_guide() -> None:
    assert set(re.findall(rf"{PREFIX}([A-Z_]+)", PAGES["docs/python.md"])) == CLIENT_SETTINGS


@pytest.mark.parametrize("page", CURRENT)
def test_every_named_file_module_and_setting_exists(page: str) -> None:
    settings = {name.upper() for name in Settings.model_fields} | {"TOKEN", "URL"} | CLIENT_SETTINGS
    named = re.findall(rf"\b{PREFIX}(?!TEST_)([A-Z_]*[A-Z])\b", PAGES[page])
    missing = [name for name in named if name not in settings]
    for code in code_in(page):
        folder = r"(?:graph|repo|ingest|tests|docs|decisions|deploy|frontend|bench)"
        if re.fullmatch(rf"{folder}/[\w./-]*", code) and "build/" not in code:
            if not (ROOT / code).exists():
                missing.append(code)
        elif re.fullmatch(r"(?:graph|repo|ingest)(?:\.[a-z_]+)+", code):
            module, _, name = code.rpartition(".")
            if not is_module(code) and not (is_module(module) and name in NAMES):
                missing.append(code)
        elif re.fullmatch(r"test_\w+\.py", code):
            if not any(path.endswith(f"/{code}") for path in SOURCES):
                missing.append(code)
    assert missing == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_named_function_and_class_exists(page: str) -> None:
    name = r"\w+(\.\w+)*\(\)|[A-Z][a-z]+[A-Z]\w*(\.\w+)*"
    named = [code for code in code_in(page) if re.fullmatch(name, code)]
    assert [code for code in named if not set(code.removesuffix("()").split(".")) <= NAMES] == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_name_is_defined_in_the_file_named_with_it(page: str) -> None:
    for name, file in re.findall(r"`([\w.]+)(?:\(\))?`\s+in\s+`([\w/]+\.py)`", PAGES[page]):
        for part in name.split("."):
            definition = rf"^ *(async def |def |class ){part}\b|^{part}\b.* = "
            assert re.search(definition, SOURCES[file], re.MULTILINE), (name, file)


def test_the_reference_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_error_code_is_documented() -> None:
    used = set()
    for name, source in SOURCES.items():
        if not name.startswith(("graph/", "repo/domain/errors")) or "/cli/" in name:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "RequestRefused":
                used |= {each.value for each in node.args[1:2] if isinstance(each, ast.Constant)}
            if isinstance(node, ast.keyword | ast.Assign | ast.Dict):
                used |= set(codes_of(node))
    assert {"CONFLICT", "RATE_LIMITED", "GRAPHQL_PARSE_FAILED"} <= used
    assert used - set(CODES) == set()


def codes_of(node: ast.keyword | ast.Assign | ast.Dict) -> list[str]:
    """Whether a name in `code` exists as an attribute, argument or item."""
    if isinstance(node, ast.Dict):
        values = [value for key, value in zip(node.keys, node.values, strict=True) if is_code(key)]
    elif isinstance(node, ast.keyword):
        values = [node.value] if node.arg == "code" else []
    else:
        values = [node.value] if getattr(node.targets[0], "id", "") == "code" else []
    constants = [part for value in values for part in ast.walk(value) if isinstance(part, ast.Constant)]
    return [each.value for each in constants if isinstance(each.value, str) and each.value.isupper()]


def is_code(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and key.value == "code"
