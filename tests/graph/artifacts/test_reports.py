"""HTML reports in a real browser: their scripts run, but not in the origin of the server."""

import json
from pathlib import Path

import pytest

from graph.app import create_app
from graph.settings import Settings
from repo import migrate
from tests.graph.artifacts.test_artifacts import ACTION, CREATE, STORE
from tests.support.browser import find_chromium
from tests.support.client import GraphQLClient
from tests.support.serving import run_node, serving

REPORT = """<!doctype html><title>report</title><style>p { color: rgb(1, 2, 3) }</style><p>Hello</p>
<img id="inline" src="data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==">
<script>
const tries = {
  cookies: () => document.cookie,
  storage: () => localStorage.length,
  parent: () => parent === window ? "none" : parent.document.title,
  requests: () => fetch(new URL("/graphql?query={__typename}", location.href)),
  elsewhere: () => new Promise((resolve, reject) => {
    const image = new Image(); image.onload = resolve; image.onerror = reject; image.src = "/favicon.svg";
  }),
  eval: () => eval("1 + 1"),
  style: () => getComputedStyle(document.querySelector("p")).color,
  image: () => document.getElementById("inline").decode().then(() => "shown"),
};
const seen = { origin: self.origin };
(async () => {
  for (const [name, attempt] of Object.entries(tries)) {
    try { seen[name] = String(await attempt()); } catch (error) { seen[name] = "refused"; }
  }
  document.title = JSON.stringify(seen);
})();
</script>"""


async def test_a_report_runs_in_an_origin_of_its_own_and_reaches_nothing(tmp_path: Path) -> None:
    chromium = find_chromium()
    if chromium is None:
        pytest.fail("Chromium is not installed: run `python tests/prepare.py`")
    database_url = f"sqlite:///{tmp_path}/rungraph.db"
    await migrate(database_url)
    with serving(create_app(Settings(database_url=database_url))) as address:
        async with GraphQLClient(base_url=address) as api:
            await api.execute(CREATE, {"id": ACTION})
            report = {"action": ACTION, "kind": "REPORT", "name": "report.html", "text": REPORT}
            stored = (await api.execute(STORE, {"input": report}))["data"]["storeArtifact"]
        url = f"{address}/{stored['url']}"
        seen = json.loads(run_node("report.js", url, f"{address}/", chromium))
    expected = {
        "origin": "null",
        "cookies": "refused",
        "storage": "refused",
        "requests": "refused",
        "elsewhere": "refused",
        "eval": "2",
        "style": "rgb(1, 2, 3)",
        "image": "shown",
    }
    assert seen["alone"] == expected | {"parent": "none"}
    assert seen["framed"] == expected | {"parent": "refused"}
