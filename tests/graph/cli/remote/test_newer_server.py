"""The commands and a server that has a phase which they do not know."""

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.graph.cli.remote.story import new, phase, report
from tests.support.commands import Remote
from tests.support.serving import serving

RUN = "shop/production/newer"


@pytest.fixture(scope="module")
def newer(remote: Remote) -> Iterator[str]:
    """The address of the server, as if it said THAWED instead of RECOVERED."""
    report(
        remote,
        *(new("main", None, run=RUN), new("step", "main", run=RUN)),
        *(phase(each, "RECOVERED", 2, RUN) for each in ("step", "main")),
    )

    async def forward(request: Request) -> Response:
        client = httpx2.AsyncClient(timeout=40, trust_env=False)
        headers = {name: request.headers[name] for name in ("accept", "authorization", "content-type")}
        body = await request.body()
        sending = client.build_request("POST", f"{remote.address}/graphql", headers=headers, content=body)
        response = await client.send(sending, stream=True)

        async def parts() -> AsyncIterator[bytes]:
            async for part in response.aiter_bytes():
                yield part.replace(b"RECOVERED", b"THAWED")

        kind = response.headers["content-type"]
        return StreamingResponse(
            parts(), response.status_code, media_type=kind, background=BackgroundTask(client.aclose)
        )

    with serving(Starlette(routes=[Route("/graphql", forward, methods=["POST"])])) as address:
        yield address


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (("list", "--project", "shop"), "? thawed"),
        (("get", RUN), "2 thawed"),
        (("get", RUN, "step"), "step  ? thawed"),
        (("events", RUN), "? thawed"),
        (("logs", RUN, "step", "-f"), ""),
        (("watch", RUN), "THAWED after"),
        (("watch", RUN, "--json"), '"phase":"THAWED"'),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_a_phase_that_is_not_known_is_shown_as_it_is(
    remote: Remote, newer: str, command: tuple[str, ...], shown: str
) -> None:
    done = remote.run(*command, "--url", newer)
    assert shown in done.stdout
    assert done.stderr in ("", "attempt 1 of step has no log\n")
    assert done.returncode == (1 if command[0] == "watch" else 0)
    assert "THAWED" in remote.output("get", RUN, "--json", "--url", newer)
