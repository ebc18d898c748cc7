"""Helm chart, image, compose file, alerts and their documentation agree with the server. The chart is not
rendered: CI has no Helm."""

import json
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

import jsonschema_rs
import pytest
import yaml  # type: ignore[import-untyped]
from starlette.applications import Starlette

from graph.cli.commands import parse_duration
from graph.settings import PREFIX, Settings
from graph.transport import server
from tests import ROOT
from tests.support.client import GraphQLClient

CHART = ROOT / "deploy" / "helm" / "rungraph"
TEMPLATES = {path.name: path.read_text() for path in sorted((CHART / "templates").iterdir())}
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
ALERTS: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text())
SETTINGS = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
WRITTEN = [
    ROOT / "Dockerfile",
    ROOT / "compose.yaml",
    *sorted(path for path in (ROOT / "deploy").rglob("*") if path.is_file()),
]
OPAQUE = {"env", "resources", "affinity", "egress"}
"""Values that the chart passes on unchanged."""


def paths(values: dict[str, Any], before: str = "") -> Iterator[str]:
    """The paths of the values that the chart reads, such as `image.tag`."""
    for name, value in values.items():
        if isinstance(value, dict) and value and name not in OPAQUE:
            yield from paths(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def properties(schema: dict[str, Any], before: str = "") -> Iterator[str]:
    """The paths of the values in the schema, in the form of `paths`."""
    for name, value in schema["properties"].items():
        if "properties" in value:
            assert value["additionalProperties"] is False, f"{before}{name}: a typing error would pass"
            yield from properties(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def image_environment() -> dict[str, str]:
    """The environment variables of the image."""
    return dict(
        re.findall(rf"\b({PREFIX}[A-Z_]+)=(\S+)", DOCKERFILE.split("\nENV PATH")[1].split("\nUSER")[0])
    )


def settings_of(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_the_values_of_the_chart_match_its_schema() -> None:
    validator = jsonschema_rs.validator_for(SCHEMA)
    assert [str(error) for error in validator.iter_errors(VALUES)] == []
    # `global` is reserved by Helm.
    assert sorted(properties(SCHEMA)) == sorted([*paths(VALUES), "global"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth": "basic"},
        {"replica": 3},
        {"image": {"tags": "1"}},
        {"env": {"RUNGRAPH_AUTH": "none"}},
        # Helm would render 8.388608e+06.
        {"env": {"RUNGRAPH_MAX_BODY_BYTES": 8388608}},
    ],
    ids=str,
)
def test_the_schema_of_the_chart_rejects_invalid_values(wrong: dict[str, Any]) -> None:
    assert not jsonschema_rs.is_valid(SCHEMA, {**VALUES, **wrong})


def test_the_chart_uses_exactly_its_documented_values() -> None:
    used = set(re.findall(r"\.Values\.([A-Za-z.]+)", "\n".join(TEMPLATES.values())))
    assert used == set(paths(VALUES))


def test_every_named_setting_exists() -> None:
    named = {path: set(re.findall(rf"\b{PREFIX}[A-Z][A-Z_]*[A-Z]", path.read_text())) for path in WRITTEN}
    assert {path.name: names - SETTINGS for path, names in named.items() if names - SETTINGS} == {}
    assert any(named.values())


async def test_the_probes_request_paths_of_the_server(client: GraphQLClient) -> None:
    deployment = TEMPLATES["deployment.yaml"]
    probes = dict(re.findall(r"(\w+Probe):\n\s+httpGet:\n\s+path: (\S+)\n\s+port: http\n", deployment))
    assert probes == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for path in {*probes.values(), "/metrics"}:
        assert (await client.get(path)).status_code == 200
    (monitored,) = re.findall(r"path: (\S+)", TEMPLATES["servicemonitor.yaml"])
    assert monitored == "/metrics"
    assert f"containerPort: {image_environment()['RUNGRAPH_PORT']}\n" in deployment
    assert "RUNGRAPH_PORT" in SCHEMA["properties"]["env"]["propertyNames"]["not"]["enum"]


def test_the_grace_period_of_a_pod_is_long_enough_to_stop() -> None:
    found = re.search(
        r"terminationGracePeriodSeconds: \{\{ add \.Values\.stopDelay (\d+) \}\}",
        TEMPLATES["deployment.yaml"],
    )
    assert found is not None
    assert int(found[1]) > server.STOP_TIMEOUT + 1
    assert (
        int(COMPOSE["services"]["rungraph"]["stop_grace_period"].removesuffix("s")) > server.STOP_TIMEOUT + 1
    )


def test_the_stop_delay_is_long_enough_for_the_readiness_probe() -> None:
    found = re.search(
        r"path: /readyz.*?periodSeconds: (\d+).*?failureThreshold: (\d+)", TEMPLATES["deployment.yaml"], re.S
    )
    assert found is not None
    assert VALUES["stopDelay"] > int(found[1]) * int(found[2])


def test_the_chart_runs_the_image_as_its_user() -> None:
    (user, group) = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.M)[0]
    assert re.findall(r"--[ug]id (\d+)", DOCKERFILE) == [group, user]
    pod = TEMPLATES["_pod.tpl"]
    assert f"runAsUser: {user}\n" in pod
    assert f"runAsGroup: {group}\n" in pod


def test_the_pruning_job_uses_an_existing_command() -> None:
    assert "args: [prune, --older-than, " in TEMPLATES["prune.yaml"]
    assert parse_duration(VALUES["prune"]["olderThan"])


async def test_metrics_of_autoscaling_and_alerts_exist(app: Starlette, client: GraphQLClient) -> None:
    text = (await client.get("/metrics")).text
    measured = set()
    for name, kind in re.findall(r"^# TYPE (rungraph_\w+) (\w+)$", text, re.M):
        measured |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"} if kind == "histogram" else {name}
    scaled = re.findall(r"name: (rungraph_\w+)$", TEMPLATES["autoscaler.yaml"], re.M)
    alerted = [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]
    written = re.findall(r"```promql\n(.*?)```", (ROOT / "docs" / "operations.md").read_text(), re.S)
    assert scaled
    assert alerted
    assert written
    assert set(re.findall(r"rungraph_\w+", "\n".join([*scaled, *alerted, *written]))) <= measured


def test_every_alert_is_documented() -> None:
    explained = (ROOT / "docs" / "operations.md").read_text()
    names = [rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]]
    assert [name for name in names if f"`{name}`" not in explained] == []


def test_the_image_starts_and_requires_authentication(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(monkeypatch, image_environment())
    assert (settings.host, settings.auth) == ("0.0.0.0", "token")


def test_every_file_copied_by_the_image_is_in_the_build_context() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in ignored if line.startswith("!")}
    copied = [
        name for names in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M) for name in names.split()
    ]
    (requirements,) = re.findall(r"^ARG REQUIREMENTS=(\S+)$", DOCKERFILE, re.M)
    for name in [*copied, requirements]:
        assert (ROOT / name).exists()
        assert any(fnmatch(name, pattern) or name.startswith(f"{pattern}/") for pattern in sent), name


def test_compose_starts_the_server_with_valid_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    values_of_schema = COMPOSE["services"]["rungraph"]["environment"]
    passwords = {name: re.sub(r"\$\{\w+\}", "0a1b2c", value) for name, value in values_of_schema.items()}
    settings = settings_of(monkeypatch, {**image_environment(), **passwords})
    assert settings.auth == "token"
    assert settings.database_url == "postgresql://rungraph:0a1b2c@database/rungraph"
    assert settings.broadcast_url == "redis://:0a1b2c@bus"


def test_compose_publishes_only_the_server_on_loopback() -> None:
    services = COMPOSE["services"]
    assert {name: service.get("ports", []) for name, service in services.items()} == {
        "database": [],
        "bus": [],
        "rungraph": ["127.0.0.1:8000:8000"],
    }
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert name == "rungraph" or "healthcheck" in service, name


def test_all_version_numbers_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    pages = [
        json.loads((ROOT / folder / "package.json").read_text())
        for folder in ("frontend", "frontend/graphiql")
    ]
    assert chart["appVersion"] == version
    assert COMPOSE["services"]["rungraph"]["image"] == f"rungraph:{version}"
    assert [page["version"] for page in pages] == [version, version]
