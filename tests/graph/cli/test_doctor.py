"""`rungraph doctor`: the result of each check; it prints no secrets."""

import asyncio
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from repo import ActionPhase, CheckStatus, check_bus, check_database, check_store, health, open_repository
from repo.watch.bus import Bus
from tests import ROOT
from tests.support import forking
from tests.support.making import (
    ADA,
    RUN,
    action,
    make_run,
)
from tests.support.pooler import running_pooler
from tests.support.provider import FakeProvider

RUNGRAPH = Path(sys.executable).parent / "rungraph"
SECRET = "canary-of-a-password"


def doctor(**settings: str) -> tuple[int, dict[str, list[tuple[str, str]]], str]:
    """The exit code, the results of each check, and the whole output."""
    environment = {f"RUNGRAPH_{name.upper()}": value for name, value in settings.items()}
    others = {name: value for name, value in os.environ.items() if name[:9] != "RUNGRAPH_"}
    done = forking.run("doctor", environment=others | environment)
    found: dict[str, list[tuple[str, str]]] = {}
    for line in done.stdout.splitlines():
        verdict, check, detail = line.split(maxsplit=2)
        found.setdefault(check, []).append((verdict, detail))
    return done.returncode, found, done.stdout + done.stderr


async def found(url: str, connections: int = 10) -> dict[str, tuple[CheckStatus, str]]:
    """The results of the checks of a database."""
    async with asyncio.timeout(60):
        return {each.check: (each.status, each.detail) async for each in check_database(url, connections)}


def test_all_checks_pass_on_a_healthy_server(database_url: str) -> None:
    for _ in range(3):
        code, findings, _ = doctor(database_url=database_url, page="false", graphiql="false")
        if findings["bus"][0][0] == "ok":  # a machine that stalls receives no notification within a second
            break
    assert (code, {verdict for each in findings.values() for verdict, _ in each}) == (0, {"ok"})
    of_the_server = {"file"} if database_url.startswith("sqlite") else {"server", "pooler", "connections"}
    assert set(findings) == of_the_server | {
        *("settings", "database", "clock", "schema", "rights", "aborts", "bus", "artifacts"),
    }


async def test_a_store_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database_url = f"sqlite:///{tmp_path}/rungraph.db"
    expected = {
        f"file://{tmp_path}/store": (CheckStatus.OK, "readable and writable"),
        f"file://{tmp_path}/file": (CheckStatus.FAILURE, "not a directory"),
        "": (CheckStatus.OK, "readable and writable"),
        "none": (CheckStatus.OK, "are refused"),
    }
    for url, (status, part) in expected.items():
        result = await check_store(url, database_url)
        assert (result.check, result.status) == ("artifacts", status), result
        assert part in result.detail.lower()
    assert not [each for each in (tmp_path / "store").rglob("*") if each.is_file()]
    assert (tmp_path / "rungraph.db.artifacts").is_dir()


def test_invalid_settings_are_the_only_result() -> None:
    code, findings, _ = doctor(port="none", database_url="mysql://x")
    assert (code, set(findings)) == (1, {"settings"})
    ((verdict, detail),) = findings["settings"]
    assert verdict == "failure"
    assert "RUNGRAPH_PORT" in detail
    assert "RUNGRAPH_DATABASE_URL" in detail


def test_variables_of_the_client_are_not_misspelt_settings(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "python.md").read_text().partition("## Settings")[2]
    names = [*re.findall(r"`RUNGRAPH_(\w+)`", text), "PARENT"]
    assert len(names) > 12
    _, findings, _ = doctor(database_url=f"sqlite:///{tmp_path}/rungraph.db", **dict.fromkeys(names, "1"))
    assert not [each for each in findings["settings"] if "misspelt" in each[1]]


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"host": "0.0.0.0", "allow_anybody": "true"}, "anyone who can reach 0.0.0.0 has full access"),
        (
            {"broadcast_url": "redis://app:app@127.0.0.1:1"},
            "the password in RUNGRAPH_BROADCAST_URL is",
        ),
        ({"allowed_origins": "*"}, "pages of any site"),
        ({"databse_url": "x"}, "RUNGRAPH_DATABSE_URL is not a setting"),
    ],
)
def test_settings_that_are_rarely_intended_give_a_warning(
    tmp_path: Path, settings: dict[str, str], part: str
) -> None:
    _, findings, _ = doctor(database_url=f"sqlite:///{tmp_path / 'x.db'}", **settings)
    assert any(verdict == "warning" and part in detail for verdict, detail in findings["settings"]), findings


def test_no_secret_is_printed(tmp_path: Path) -> None:
    unavailable = f"postgresql://user:{SECRET}@127.0.0.1:1/name"
    code, findings, printed = doctor(
        database_url=unavailable,
        broadcast_url=f"redis://user:{SECRET}@127.0.0.1:1",
        abort_webhook_url="https://example.com/aborts",
        abort_webhook_secret=f"{SECRET}-of-a-webhook",
    )
    assert code == 1
    assert findings["database"][0][0] == findings["bus"][0][0] == "failure"
    assert SECRET not in printed


async def test_an_older_schema_fails_and_a_newer_one_gives_a_warning(
    database_url: str, empty_database_url: str
) -> None:
    verdict, detail = (await found(empty_database_url))["schema"]
    assert (verdict, detail.endswith("run rungraph migrate")) == (CheckStatus.FAILURE, True)
    async with open_repository(database_url) as repository:
        async with repository.database.engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9000'"))
        assert (await found(database_url))["schema"][0] is CheckStatus.WARNING


async def test_failed_aborts_give_a_warning(database_url: str) -> None:
    async with open_repository(database_url) as repository:
        await make_run(repository)
        await repository.update_action_phase(action(), ActionPhase.RUNNING, 1)
        await repository.abort_run(RUN, None, ADA)
        assert (await found(database_url))["aborts"][0] is CheckStatus.OK
        await repository.aborts.claim("lease", timedelta(0), 10, 1)
        await repository.aborts.claim("lease", timedelta(0), 10, 1)
    verdict, detail = (await found(database_url))["aborts"]
    assert (verdict, detail[:10]) == (CheckStatus.WARNING, "1 failed: ")


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [(0.5, CheckStatus.OK), (-2, CheckStatus.WARNING), (3, CheckStatus.WARNING), (7, CheckStatus.FAILURE)],
)
async def test_a_clock_that_differs_from_the_database_is_reported(
    database_url: str, monkeypatch: pytest.MonkeyPatch, seconds: float, verdict: CheckStatus
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(seconds=seconds)

    monkeypatch.setattr(health, "datetime", Clock)
    assert (await found(database_url))["clock"][0] is verdict


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "grants",
    [
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO reader; REVOKE INSERT ON incarnations FROM reader",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO reader; REVOKE DELETE ON incarnations FROM reader",
    ],
)
async def test_a_database_user_without_write_access_to_every_table_fails(
    database_url: str, grants: str
) -> None:
    async with open_repository(database_url) as repository:
        async with repository.database.engine.begin() as connection:
            await connection.execute(text("DROP ROLE IF EXISTS reader"))
            await connection.execute(text("CREATE ROLE reader LOGIN"))
            for grant in grants.split("; "):
                await connection.execute(text(grant))
        try:
            url = make_url(database_url).set(username="reader").render_as_string(hide_password=False)
            findings = await found(url)
        finally:
            async with repository.database.engine.begin() as connection:
                await connection.execute(text("DROP OWNED BY reader"))
                await connection.execute(text("DROP ROLE reader"))
    verdict, detail = findings["rights"]
    assert (verdict, "permission denied" in detail) == (CheckStatus.FAILURE, True)


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_more_connections_than_the_server_allows_fail(database_url: str) -> None:
    verdict, detail = (await found(database_url, 5000))["connections"]
    assert (verdict, "RUNGRAPH_DATABASE_POOL_SIZE" in detail) == (CheckStatus.FAILURE, True)


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_a_pooler_that_loses_prepared_statements_fails(database_url: str) -> None:
    async with running_pooler(database_url) as pooled:
        verdict, detail = (await found(pooled))["pooler"]
    assert (verdict, "max_prepared_statements" in detail) == (CheckStatus.FAILURE, True)


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_a_disk_that_is_almost_full_gives_a_warning(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "MIN_FREE_SPACE", 1 << 60)
    assert (await found(database_url))["file"][0] is CheckStatus.WARNING


async def test_a_bus_that_delivers_notifications_passes(
    bus_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "RECEIVE_TIMEOUT", 10.0)
    async with asyncio.timeout(20):
        assert (await check_bus(bus_url)).status is CheckStatus.OK


async def test_a_bus_that_loses_notifications_fails(bus_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bus, "notify", lambda self: None)
    async with asyncio.timeout(20):
        finding = await check_bus(bus_url)
    assert (finding.status, "receives no" in finding.detail) == (CheckStatus.FAILURE, True)


def test_the_keys_of_the_openid_provider_are_checked(tmp_path: Path) -> None:
    settings = {
        "auth": "oidc",
        "public_url": "http://localhost:8000",
        "oidc_audience": "rungraph",
        "oidc_client_id": "page",
        "oidc_grants": '[{"claim": "groups", "value": "data", "role": "viewer"}]',
        "database_url": f"sqlite:///{tmp_path}/rungraph.db",
    }
    with FakeProvider().serving() as provider:
        _, findings, _ = doctor(oidc_issuer=provider.url, **settings)
        assert findings["provider"] == [("ok", f"{provider.url} publishes endpoints and keys")]
        stopped = provider.url
    code, findings, _ = doctor(oidc_issuer=stopped, **settings)
    ((verdict, detail),) = findings["provider"]
    assert (code, verdict) == (1, "failure")
    assert "cannot connect" in detail
