"""Planning a recording: when each task starts and ends, and what is reported."""

from datetime import UTC, datetime
from pathlib import Path

from ingest.plan import Plan, PlannedAction, Step
from ingest.wfformat.format import read_recording
from ingest.wfformat.schedule import critical_path_ms, plan_recording, run_name
from repo.domain.identifiers import RunIdentifier
from repo.domain.phases import ActionPhase
from tests import DATA

RUN = RunIdentifier("recordings", "production", "run-1")


def _plan(name: str) -> Plan:
    return plan_recording(read_recording(DATA / name), RUN)


def _times(plan: Plan) -> dict[str, tuple[int, int, int]]:
    """The creation, start and end of each action."""
    found = {}
    for action in plan.actions:
        start = action.start_of(1)
        assert start is not None
        found[action.name] = (action.steps[0].offset_ms, start, action.steps[-1].offset_ms)
    return found


def test_a_task_without_a_start_time_starts_when_its_dependencies_have_ended() -> None:
    plan = _plan("diamond.json")
    assert _times(plan) == {
        "_root": (0, 0, 42_500),
        "fetch_1": (0, 0, 1_500),
        "clean_2": (1_500, 1_500, 3_750),
        "clean_3": (1_500, 1_500, 11_501),
        "clean_4": (1_500, 1_500, 1_500),
        "größe/měření 5": (11_501, 11_501, 14_834),
        "plot_6": (11_501, 11_501, 15_601),
        "plot_7": (1_500, 1_500, 1_504),
        "report_8": (15_601, 15_601, 20_601),
        "audit_9": (0, 0, 2_000),
        "root": (2_000, 2_000, 3_000),
    }
    assert plan.began_at == datetime(2024, 1, 22, 5, 5, 55, tzinfo=UTC)
    assert critical_path_ms(plan) == 20_601


def test_a_recorded_start_is_kept_and_the_run_spans_all_its_tasks() -> None:
    plan = _plan("timed.json")
    assert _times(plan) == {
        "root": (0, 0, 26_500),
        "a": (0, 1_500, 5_750),
        "b": (5_750, 7_000, 8_500),
        "c": (8_500, 8_500, 14_500),
        "d": (8_500, 10_000, 12_750),
        "e": (8_500, 8_500, 9_000),
        "f": (14_500, 20_000, 23_000),
        "g": (23_000, 23_000, 24_000),
        "h": (24_000, 24_000, 26_500),
    }
    assert critical_path_ms(plan) == 18_250


def test_a_run_begins_with_its_first_task_if_that_started_before_the_workflow(tmp_path: Path) -> None:
    text = (DATA / "timed.json").read_text().replace("10:00:01.500-10:00", "09:59:58-10:00")
    path = tmp_path / "early.json"
    path.write_text(text)
    plan = plan_recording(read_recording(path), RUN)
    assert plan.began_at == datetime(2024, 2, 29, 19, 59, 58, tzinfo=UTC)
    assert _times(plan)["a"] == (0, 0, 4_250)
    assert plan.duration_ms == 28_500


def test_a_task_has_its_command_machine_and_metrics() -> None:
    action = _plan("diamond.json").by_name["report_8"]
    assert action.fields["group"] == "report"
    assert action.fields["functionName"] == "report"
    assert action.fields["spec"]["command"] == {"program": "report", "arguments": []}
    assert set(action.dependencies) == {"größe/měření 5", "plot_6", "plot_7"}
    assert "dependencies" not in action.fields["spec"]
    end = action.steps[-1]
    assert end.phase is ActionPhase.SUCCEEDED
    assert end.event == {
        "cluster": "node-1",
        "info": {
            "runtimeInSeconds": 5,
            "avgCPU": 97.5,
            "readBytes": 4096,
            "writtenBytes": 1024,
            "memoryInBytes": 65536,
        },
        "outputs": {"files": [{"id": "report.html", "sizeInBytes": 2048}]},
    }


def test_an_action_is_created_with_its_dependencies() -> None:
    plan = _plan("diamond.json")
    attempts = plan.create_input(plan.by_name["report_8"], plan.began_at)["dependencies"]
    assert attempts == list(plan.by_name["report_8"].dependencies)
    assert plan.create_input(plan.root, plan.began_at)["dependencies"] == []


def test_of_too_many_dependencies_those_that_end_last_are_reported() -> None:
    names = tuple(f"t{number}" for number in range(1003))
    ends = {name: 500 if number < 3 else 1000 + number for number, name in enumerate(names)}
    actions = [
        PlannedAction(name, "root", (Step(0, ActionPhase.QUEUED), Step(end, ActionPhase.SUCCEEDED)))
        for name, end in ends.items()
    ]
    gather = PlannedAction("gather", "root", (Step(9999, ActionPhase.QUEUED),), dependencies=names)
    root = PlannedAction("root", None, (Step(0, ActionPhase.QUEUED),))
    plan = Plan(RUN, datetime(2024, 1, 1, tzinfo=UTC), (root, *actions, gather))
    assert plan.create_input(gather, plan.began_at)["dependencies"] == list(names[3:])


def test_a_script_is_not_a_function_name_and_several_machines_are_all_listed() -> None:
    action = _plan("diamond.json").by_name["größe/měření 5"]
    assert action.fields["functionName"] is None
    assert action.steps[-1].event["cluster"] == "node-1, node-2"


def test_a_task_without_a_machine_ran_on_the_only_one() -> None:
    assert _plan("timed.json").by_name["a"].steps[-1].event["cluster"] == "node-1"


def test_a_number_appended_to_a_task_name_is_not_part_of_the_group(tmp_path: Path) -> None:
    text = (DATA / "diamond.json").read_text().replace('"fetch_1"', '"m-fetch_ID0000001"')
    path = tmp_path / "numbered.json"
    path.write_text(text.replace('"name": "fetch"', '"name": "m-fetch_ID0000001"'))
    plan = plan_recording(read_recording(path), RUN)
    assert plan.by_name["m-fetch_ID0000001"].fields["group"] == "m-fetch"


def test_the_run_name_depends_on_the_content_of_the_file(tmp_path: Path) -> None:
    recording = read_recording(DATA / "diamond.json")
    copied = tmp_path / "copy.json"
    copied.write_bytes((DATA / "diamond.json").read_bytes())
    assert run_name(read_recording(copied), live=False) == run_name(recording, live=False)
    copied.write_bytes((DATA / "diamond.json").read_bytes() + b"\n")
    assert run_name(read_recording(copied), live=False) != run_name(recording, live=False)
    assert run_name(recording, live=True) == f"{run_name(recording, live=False)}-live"
