"""The schema: printed into schema.graphql, documented, and compatible."""

from pathlib import Path

import pytest
from graphql import GraphQLSchema, is_enum_type, is_input_object_type, is_interface_type, is_object_type
from typer.testing import CliRunner

from graph.cli.main import app
from graph.limits.documents import Limits
from graph.schema.build import build_schema
from graph.strawberry_internals import core_schema
from tests import ROOT

PRINTED = ROOT / "schema.graphql"


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return core_schema(build_schema(Limits(1, 1, 1, 1, 1)))


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_schema_graphql_is_what_the_code_prints() -> None:
    code, printed = run("schema", "print")
    assert code == 0
    assert printed == PRINTED.read_text(), "run make schema, and look at what changed"


def test_everything_in_the_schema_is_described(schema: GraphQLSchema) -> None:
    bare = []
    for name, kind in schema.type_map.items():
        if name.startswith("__") or name in ("Boolean", "Float", "ID", "Int", "String"):
            continue
        if not kind.description and name not in ("Query", "Mutation"):
            bare.append(name)
        if is_enum_type(kind):
            bare += [f"{name}.{value}" for value, item in kind.values.items() if not item.description]
        if is_object_type(kind) or is_interface_type(kind) or is_input_object_type(kind):
            for field, definition in kind.fields.items():
                if not definition.description:
                    bare.append(f"{name}.{field}")
                for argument, item in getattr(definition, "args", {}).items():
                    if not item.description:
                        bare.append(f"{name}.{field}({argument})")
    assert bare == []


def test_the_check_passes_against_the_schema_itself() -> None:
    code, message = run("schema", "check", "--against", str(PRINTED))
    assert (code, message) == (0, f"the schema keeps every promise of {PRINTED}\n")


@pytest.mark.parametrize(
    ("promise", "broken"),
    [
        ("  projects: [Project!]!", "  projects: [Project!]!\n  gone: Int"),
        ("  durationMs: BigInt\n", "  durationMs: BigInt!\n"),
        ("  QUEUED\n", "  QUEUED\n  GONE\n"),
    ],
)
def test_the_check_fails_for_a_breaking_change(tmp_path: Path, promise: str, broken: str) -> None:
    earlier = tmp_path / "earlier.graphql"
    printed = PRINTED.read_text()
    assert promise in printed
    earlier.write_text(printed.replace(promise, broken, 1))
    code, message = run("schema", "check", "--against", str(earlier))
    assert code == 1
    assert "breaking: " in message


def test_an_addition_breaks_nothing(tmp_path: Path) -> None:
    earlier = tmp_path / "earlier.graphql"
    added = '''  """When its trigger fired."""\n  triggeredAt: DateTime\n'''
    assert added in PRINTED.read_text()
    earlier.write_text(PRINTED.read_text().replace(added, ""))
    assert run("schema", "check", "--against", str(earlier))[0] == 0


def test_a_missing_schema_is_reported() -> None:
    code, message = run("schema", "check", "--against", "no-such-commit")
    assert code == 1
    assert "there is no schema.graphql at no-such-commit" in message
