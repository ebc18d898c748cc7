"""The lock files: they pin the dependencies of pyproject.toml by hash, without URLs."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = PROJECT["project"]["dependencies"]
DEVELOPMENT = PROJECT["dependency-groups"]["dev"]
NPM_LOCKS = [
    lock
    for pattern in ("*/package-lock.json", "*/*/package-lock.json")
    for lock in ROOT.glob(pattern)
    if "node_modules" not in lock.parts
]


def locked(file: str) -> dict[str, str]:
    """The versions of the packages in a lock file."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", (ROOT / file).read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    ("file", "declared"),
    [
        *(("requirements.lock", declared) for declared in RUNTIME),
        *(("requirements-dev.lock", declared) for declared in RUNTIME + DEVELOPMENT),
    ],
)
def test_locked_versions_satisfy_the_declared_dependencies(file: str, declared: str) -> None:
    requirement = Requirement(declared)
    assert requirement.specifier.contains(locked(file)[requirement.name])


def test_tests_use_the_deployed_versions() -> None:
    assert locked("requirements.lock").items() <= locked("requirements-dev.lock").items()


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-dev.lock", "requirements-clients.lock"])
def test_every_locked_package_has_a_hash_and_no_url(file: str) -> None:
    text = (ROOT / file).read_text()
    assert len(re.findall(r"^[a-z0-9-]+==.*\\\n    --hash=sha256:", text, re.MULTILINE)) == len(
        re.findall(r"^[a-z0-9-]+==", text, re.MULTILINE)
    )
    assert "://" not in text


@pytest.mark.parametrize("lock", NPM_LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_every_locked_npm_package_has_a_hash_and_no_url(lock: Path) -> None:
    packages = json.loads(lock.read_text())["packages"]
    installed = {name: package for name, package in packages.items() if name and not package.get("link")}
    assert [name for name, package in installed.items() if "integrity" not in package] == []
    assert [name for name, package in installed.items() if "resolved" in package] == []


def test_npm_lock_files_have_packages() -> None:
    assert NPM_LOCKS
