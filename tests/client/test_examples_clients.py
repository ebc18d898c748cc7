"""The examples of docs/clients.md: each lists runs, follows them, and resumes when the server restarts."""

import asyncio
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from graphql import OperationDefinitionNode, parse, print_ast

from repo import Access, CredentialKind, Grant, Identity, IdentityKind, Role, open_repository
from tests import ROOT
from tests.support.databases import Databases
from tests.support.ports import free_port
from tests.support.server_process import ServerProcess, server_process
from tests.support.serving import NODE_FOLDER

SECONDS = 60
PYTHON = str(ROOT / ".venv-clients" / "bin" / "python")
PAGE = (ROOT / "docs" / "clients.md").read_text()
SECTIONS = {
    heading.partition(" (")[0]: dict(re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL))
    for heading, text in re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
"""The blocks of code of each section, by language."""
RESUMED = {"graphql-ws", "graphql-sse", "gql", "ariadne-codegen"}
"""Those that pass the cursor; the others get a new snapshot."""
ROOT_ACTION = '{project: "p", domain: "d", runName: "first", name: "a0"}'


class Example:
    """A running example."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name, self.process, self.output = name, process, ""

    async def prints(self, *words: str) -> None:
        """Waits until what it prints from now on has these words."""
        assert self.process.stdout is not None
        seen = ""
        try:
            async with asyncio.timeout(SECONDS):
                while not all(word in seen for word in words):
                    line = await self.process.stdout.readline()
                    assert line, f"{self.name} ended: {self.output}"
                    self.output += line.decode()
                    seen += line.decode()
        except TimeoutError:
            pytest.fail(f"{self.name} did not print {words}: {self.output}")


def javascript(name: str, source: str) -> list[str]:
    """The command. As Babel does, it replaces documents of Relay by what relay-compiler made of them."""

    def compiled(found: re.Match[str]) -> str:
        document = parse(found[1])
        (operation,) = document.definitions
        assert isinstance(operation, OperationDefinitionNode)
        assert operation.name is not None
        file = f"relay/{operation.name.value}.graphql.js"
        digest = hashlib.md5(print_ast(document).encode(), usedforsecurity=False).hexdigest()
        assert digest in (NODE_FOLDER / file).read_text(), f"{file} is outdated: run relay-compiler"
        return f'(await import("./{file}")).default'

    if name == "Relay":
        source = re.sub(r"graphql`(.*?)`", compiled, source, flags=re.DOTALL)
    return ["node", "--input-type=module", "--eval", source]


def python(folder: Path, blocks: dict[str, str]) -> list[str]:
    return [PYTHON, "-u", "-c", blocks["python"]]


@asynccontextmanager
async def example(name: str, address: str, folder: Path, token: str) -> AsyncIterator[Example]:
    blocks = {
        language: text.replace("127.0.0.1:8000", address.removeprefix("http://"))
        for language, text in SECTIONS[name].items()
    }
    if "js" in blocks:
        command, where = javascript(name, blocks["js"]), NODE_FOLDER
    else:
        command, where = python(folder, blocks), folder
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=where,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "RUNGRAPH_TOKEN": token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Example(name, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def generate(folder: Path) -> None:
    """The client of ariadne-codegen."""
    blocks = SECTIONS["ariadne-codegen"]
    (folder / "queries.graphql").write_text(blocks["graphql"])
    (folder / "pyproject.toml").write_text(blocks["toml"])
    shutil.copy(ROOT / "schema.graphql", folder)
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, "-m", "ariadne_codegen"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()


async def change(server: ServerProcess, phase: str) -> None:
    report = f"{{id: {ROOT_ACTION}, details: {{}}, phase: {phase}}}"
    answer = await server.ask(f"mutation {{ report(reports: [{report}]) {{ failed }} }}")
    assert answer.json() == {"data": {"report": {"failed": 0}}}


async def test_each_example_lists_runs_follows_them_and_resumes(
    sqlite_databases: Databases, migrated_sqlite_url: str, tmp_path: Path
) -> None:
    assert set(SECTIONS) == {
        *("graphql-ws", "graphql-sse", "urql", "Apollo Client", "Relay", "gql", "ariadne-codegen")
    }
    url, port = sqlite_databases.copy(migrated_sqlite_url), free_port()
    settings = {"RUNGRAPH_DATABASE_URL": url, "RUNGRAPH_AUTH": "token"}
    async with open_repository(url) as repository:
        _, token = await repository.credentials.create(
            CredentialKind.TOKEN,
            "test",
            Identity(IdentityKind.APPLICATION, "test"),
            Access(frozenset({Grant(Role.ADMIN)})),
        )
    await generate(tmp_path)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(AsyncExitStack())
        server = await first.enter_async_context(server_process(settings, token=token, port=port))
        await change(server, "QUEUED")
        examples = [
            await stack.enter_async_context(example(name, server.address, tmp_path, token))
            for name in SECTIONS
        ]
        await asyncio.gather(*(each.prints("first", "QUEUED", "SYNCED") for each in examples))
        await change(server, "RUNNING")
        await asyncio.gather(*(each.prints("CHANGE", "first", "RUNNING") for each in examples))
        await first.aclose()
        async with server_process(settings, token=token, port=port) as server:
            await change(server, "SUCCEEDED")
            await asyncio.gather(*(each.prints("first", "SUCCEEDED") for each in examples))
    for each in examples:
        if each.name in RESUMED:
            assert each.output.count("SNAPSHOT") == 1, each.output
