"""Both clients by the same methods, and a writer of what they read."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from rungraph import AsyncClient, Client

REPORT = """mutation ($reports: [ReportInput!]!) {
  report(reports: $reports) { results { error { message } } } }"""
APPEND = "mutation ($input: AppendLogInput!) { appendLog(input: $input) { nextOffset } }"
STORE = "mutation ($input: StoreArtifactInput!) { storeArtifact(input: $input) { digest } }"


class Both:
    """An AsyncClient with the methods of a Client, in an event loop of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*args, **kwargs)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            if inspect.isasyncgen(result):
                return self._iterate(result)

            async def awaited() -> Any:
                return await result

            return self._runner.run(awaited())

        return call

    def _iterate(self, items: Any) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(items, None)

        try:
            while (item := self._runner.run(following())) is not None:
                yield item
        finally:
            self._runner.run(items.aclose())

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


class Writer:
    """Reports about a run of the client's project."""

    def __init__(self, url: str, project: str, run: str) -> None:
        self.run = {"project": project, "domain": "development", "runName": run}
        self._client = Client(url)

    def report(self, name: str, parent: str | None = None, **fields: Any) -> None:
        details = {"details": {"parentName": parent}} if parent else {}
        self.send({"id": {**self.run, "name": name}, **details, **fields})

    def send(self, *reports: dict[str, Any]) -> None:
        results = self._client.execute(REPORT, {"reports": list(reports)})["report"]["results"]
        assert [each["error"] for each in results] == [None] * len(reports)

    def log(self, name: str, *texts: str, level: str = "INFO", attempt: int = 1) -> None:
        action = {**self.run, "name": name}
        lines = [{"text": text, "level": level} for text in texts]
        self._client.execute(APPEND, {"input": {"action": action, "attempt": attempt, "lines": lines}})

    def store(self, action: str, **fields: Any) -> None:
        self._client.execute(STORE, {"input": {"action": {**self.run, "name": action}, **fields}})
