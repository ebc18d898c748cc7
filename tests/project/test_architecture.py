"""The modules of the code: each is named for its subject and says what it does."""

import ast

import pytest

from tests import ROOT

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("graph", "ingest", "repo")
    for path in sorted((ROOT / package).rglob("*.py"))
}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_named_for_its_subject_and_says_what_it_does(module: str) -> None:
    assert module.rpartition(".")[2] not in {"base", "common", "helpers", "manager", "misc", "utils"}
    source = MODULES[module].read_text()
    assert ast.get_docstring(ast.parse(source)) or not source
