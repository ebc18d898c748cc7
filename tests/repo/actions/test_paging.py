"""Keyset pages: a total order in both directions, and cursors that stay valid under writes."""

import base64
import json
from collections.abc import Callable
from itertools import pairwise

import pytest

from repo import (
    Action,
    ActionFilter,
    ActionPhase,
    ActionRepo,
    InvalidArgument,
    InvalidCursor,
    Order,
    OrderField,
    PageRequest,
    RunFilter,
    RunIdentifier,
)
from tests.support.making import (
    RUN,
    action,
    at,
    make_run,
    new,
    update,
)


async def fill(repository: ActionRepo) -> list[str]:
    """Forty actions with many equal times, phases and durations, and a few that have not ended."""
    names = [f"t{i:02}" for i in range(39)]
    actions = [new(name, "a0", created_at=at(i // 10)) for i, name in enumerate(names)]
    await repository.actions.create([new(created_at=at(0)), *actions])
    ended = [
        update(name, ActionPhase.SUCCEEDED if i % 2 else ActionPhase.FAILED, end_time=at(10 + i % 4))
        for i, name in enumerate(names)
        if i % 3
    ]
    await repository.actions.update_phases(ended)
    return ["a0", *names]


@pytest.mark.parametrize("field", OrderField)
@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_pages_contain_every_row_once_in_both_directions(
    repository: ActionRepo, field: OrderField, descending: bool, size: int
) -> None:
    names = await fill(repository)
    order = Order(field, descending)
    forward: list[str] = []
    page = await repository.list_actions(RUN, order=order, page=PageRequest(first=size))
    forward += [action.name for action in page.items]
    while page.has_next:
        request = PageRequest(first=size, after=page.cursors[-1])
        page = await repository.list_actions(RUN, order=order, page=request)
        assert page.has_previous
        forward += [action.name for action in page.items]
    assert sorted(forward) == sorted(names)

    backward: list[str] = []
    page = await repository.list_actions(RUN, order=order, page=PageRequest(last=size))
    backward = [action.name for action in page.items]
    while page.has_previous:
        request = PageRequest(last=size, before=page.cursors[0])
        page = await repository.list_actions(RUN, order=order, page=request)
        backward = [action.name for action in page.items] + backward
    assert backward == forward


@pytest.mark.parametrize(
    "order", [Order(), Order(OrderField.DURATION, False), Order(OrderField.NAME)], ids=str
)
@pytest.mark.parametrize("search", ["-0", "-1", "7", "-33", "p/d/r-2", "zz"])
async def test_pages_of_runs_are_the_same_whichever_statement_finds_them(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch, order: Order, search: str
) -> None:
    monkeypatch.setattr("repo.actions.run_pages.WINDOWS", (4, 8, 24))
    monkeypatch.setattr("repo.actions.run_pages._ENOUGH", 8)
    runs = [RunIdentifier("p", "d", f"r-{number:02}") for number in range(60)]
    made = [new(run=run, created_at=at(number // 7)) for number, run in enumerate(runs)]
    await repository.actions.create(made)
    ended = [
        update("a0", ActionPhase.SUCCEEDED, run=run, end_time=at(50 + number * 17 % 10))
        for number, run in enumerate(runs)
        if number % 4
    ]
    await repository.actions.update_phases(ended)
    everything = (await repository.runs.page(None, order, PageRequest(first=60))).items
    matching = [run.name for run in everything if search in f"p/d/{run.name}"]
    filter = RunFilter(search=search)
    forward: list[str] = []
    page = await repository.runs.page(filter, order, PageRequest(first=3))
    forward += [run.name for run in page.items]
    while page.has_next:
        page = await repository.runs.page(filter, order, PageRequest(first=3, after=page.cursors[-1]))
        forward += [run.name for run in page.items]
    assert forward == matching
    page = await repository.runs.page(filter, order, PageRequest(last=3))
    backward = [run.name for run in page.items]
    while page.has_previous:
        page = await repository.runs.page(filter, order, PageRequest(last=3, before=page.cursors[0]))
        backward = [run.name for run in page.items] + backward
    assert backward == matching


@pytest.mark.parametrize("field", OrderField)
@pytest.mark.parametrize("descending", [True, False])
async def test_pages_have_the_requested_order(
    repository: ActionRepo, field: OrderField, descending: bool
) -> None:
    await fill(repository)
    page = await repository.list_actions(RUN, order=Order(field, descending), page=PageRequest(first=1000))
    values = [getattr(action, field.value) for action in page.items]
    present = [value for value in values if value is not None]
    assert values[len(present) :] == [None] * (len(values) - len(present)), "what has no value comes last"
    for one, next_one in pairwise(present):
        assert one >= next_one if descending else one <= next_one


async def test_a_page_between_two_cursors(repository: ActionRepo) -> None:
    await fill(repository)
    order = Order(OrderField.NAME, descending=False)
    whole = await repository.list_actions(RUN, order=order)
    request = PageRequest(first=100, after=whole.cursors[3], before=whole.cursors[9])
    page = await repository.list_actions(RUN, order=order, page=request)
    assert page.items == whole.items[4:9]
    assert (page.has_previous, page.has_next) == (True, False)


async def test_inserted_rows_do_not_shift_later_pages(repository: ActionRepo) -> None:
    await fill(repository)
    first = await repository.list_actions(RUN, page=PageRequest(first=10))
    await repository.actions.create(
        [new(f"early{i}", "a0", created_at=at(-1)) for i in range(5)]
        + [new(f"late{i}", "a0", created_at=at(99)) for i in range(5)]
    )
    rest = await repository.list_actions(RUN, page=PageRequest(first=1000, after=first.cursors[-1]))
    seen = [action.name for action in (*first.items, *rest.items)]
    assert len(seen) == len(set(seen)) == 45
    assert not any(name.startswith("early") for name in seen)


async def test_runs_with_equal_times_appear_once_each(repository: ActionRepo) -> None:
    runs = [RunIdentifier(f"p{i % 3}", "d", f"run-{i}") for i in range(25)]
    await repository.actions.create([new(run=run, created_at=at(0)) for run in runs])
    for field in OrderField:
        found: list[RunIdentifier] = []
        page = await repository.runs.page(order=Order(field), page=PageRequest(first=4))
        found += [run.identifier for run in page.items]
        while page.has_next:
            request = PageRequest(first=4, after=page.cursors[-1])
            page = await repository.runs.page(order=Order(field), page=request)
            found += [run.identifier for run in page.items]
        assert sorted(map(str, found)) == sorted(map(str, runs))


async def test_a_page_of_several_runs_is_one_statement_with_the_same_result(
    repository: ActionRepo,
) -> None:
    runs = [RunIdentifier("p", "d", f"run-{i}") for i in range(4)]
    for count, run in enumerate(runs):
        await make_run(repository, run, **{f"t{i}": "a0" for i in range(count)})
    order = Order(OrderField.NAME)
    for request in (PageRequest(first=2), PageRequest(last=2), PageRequest(first=0)):
        together = await repository.actions.pages("run_key", [run.key for run in runs], None, order, request)
        for run in runs:
            assert together[run.key] == await repository.list_actions(run, None, order, request)


async def test_the_page_after_the_last_row_is_empty_and_has_a_previous_page(
    repository: ActionRepo,
) -> None:
    await make_run(repository)
    (end,) = (await repository.list_actions(RUN)).cursors
    other = RunIdentifier("p", "d", "without-actions")
    for keys in ([RUN.key], [RUN.key, other.key]):
        pages = await repository.actions.pages("run_key", keys, page=PageRequest(after=end))
        assert pages[RUN.key] == await repository.list_actions(RUN, page=PageRequest(after=end))
        assert (pages[RUN.key].items, pages[RUN.key].has_previous) == ([], True)


async def test_an_event_cursor_with_a_number_out_of_range_is_rejected(repository: ActionRepo) -> None:
    await make_run(repository)
    for position in ((2**31, 10, 0), (1, 2**15, 0), (1, 10, 2**31), (1, 10, -(2**31) - 1)):
        request = PageRequest(after=forged("OCCURRED_AT", False, 0, *position))
        with pytest.raises(InvalidCursor):
            await repository.events.page([action()], page=request)
    request = PageRequest(after=forged("OCCURRED_AT", False, 0, 2**31 - 1, 10, 2**31 - 1))
    assert (await repository.events.page([action()], page=request))[action()].items == []


async def test_names_are_ordered_by_code_point(repository: ActionRepo) -> None:
    names = ["B", "a", "Z", "é", "_", "z", "😀", "界", "1", "a b", "a-b"]
    await make_run(repository, **dict.fromkeys(names, "a0"))
    page = await repository.list_actions(RUN, order=Order(OrderField.NAME, descending=False))
    assert [action.name for action in page.items] == sorted([*names, "a0"])


async def test_a_name_cursor_with_unstorable_text_is_rejected(repository: ActionRepo) -> None:
    for name in ("\0", "\ud800", 5):
        request = PageRequest(after=forged("NAME", True, name))
        with pytest.raises(InvalidCursor):
            await repository.list_actions(RUN, order=Order(OrderField.NAME), page=request)


async def test_an_empty_page_tells_whether_more_rows_exist(repository: ActionRepo) -> None:
    await make_run(repository)
    page = await repository.list_actions(RUN, page=PageRequest(first=0))
    assert (page.items, page.has_next) == ([], True)
    nothing = await repository.list_actions(RunIdentifier("no", "such", "run"))
    assert (nothing.items, nothing.has_next, nothing.has_previous) == ([], False, False)


def forged(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "not a cursor!",
        forged(),
        forged("CREATED_AT", False),
        forged("CREATED_AT", True, 1, "a0"),
        forged("NAME", False, "a0"),
        forged("CREATED_AT", False, "1", "a0"),
        forged("CREATED_AT", False, 10**30, "a0"),
        forged("CREATED_AT", False, 1, 1),
        forged("CREATED_AT", False, 1, "\0"),
        forged("CREATED_AT", False, 1, "\ud800"),
        forged("CREATED_AT", False, None, "a0"),
        forged("CREATED_AT", False, 1, "a0", "more"),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
async def test_an_invalid_cursor_is_rejected(repository: ActionRepo, cursor: str) -> None:
    await make_run(repository)
    with pytest.raises(InvalidCursor):
        await repository.list_actions(RUN, page=PageRequest(after=cursor))
    with pytest.raises(InvalidCursor):
        await repository.list_actions(RUN, page=PageRequest(last=1, before=cursor))


async def test_a_cursor_over_all_runs_with_an_invalid_key_is_rejected(repository: ActionRepo) -> None:
    for key in ("zz", "a0é", 1, None):
        with pytest.raises(InvalidCursor):
            await repository.list_actions(page=PageRequest(after=forged("CREATED_AT", True, 1, key)))


@pytest.mark.parametrize("number", [-(2**63), 2**15, 2**63 - 1, 2**63])
async def test_a_cursor_with_a_number_out_of_range_is_rejected_or_harmless(
    repository: ActionRepo, number: int
) -> None:
    await make_run(repository)
    for field in (OrderField.PHASE, OrderField.DURATION, OrderField.UPDATED_AT):
        cursor = forged(field.name, True, number, "a0")
        try:
            await repository.list_actions(RUN, order=Order(field), page=PageRequest(after=cursor))
        except InvalidCursor:
            continue
        assert field is not OrderField.PHASE


def test_page_sizes_are_limited() -> None:
    for size in (-1, 1001):
        with pytest.raises(InvalidArgument, match="first must be between 0 and 1000"):
            PageRequest(first=size)
        with pytest.raises(InvalidArgument, match="last must be between 0 and 1000"):
            PageRequest(last=size)
    with pytest.raises(InvalidArgument, match="first or last, not both"):
        PageRequest(first=1, last=1)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("size", [0, 1, 5, 100])
async def test_pages_of_all_runs_with_a_filter_search_a_part_each(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch, descending: bool, backward: bool, size: int
) -> None:
    """The cursors of a page continue the search where it ended, also if nothing was found."""
    monkeypatch.setattr("repo.actions.actions.SEARCHED_ACTIONS", 7)
    await fill(repository)
    other = RunIdentifier("etl", "production", "other")
    children = [new(f"x{i}", "a0", run=other, group="g", created_at=at(i)) for i in range(4)]
    await repository.actions.create([new(run=other, created_at=at(2)), *children])
    order = Order(OrderField.CREATED_AT, descending)
    everything = (await repository.list_actions(order=order)).items
    cases: list[tuple[ActionFilter, Callable[[Action], bool]]] = [
        (ActionFilter(phases=(ActionPhase.FAILED,)), lambda each: each.phase is ActionPhase.FAILED),
        (ActionFilter(group="g"), lambda each: each.group == "g"),
        (ActionFilter(search="nothing"), lambda each: False),
        (ActionFilter(parent_name="a0"), lambda each: each.parent_name == "a0"),
    ]
    for filter, matches in cases:
        found: list[Action] = []
        request, pages = PageRequest(last=size) if backward else PageRequest(first=size), 0
        while True:
            page = await repository.list_actions(filter=filter, order=order, page=request)
            assert len(page.items) <= size
            found = [*page.items, *found] if backward else [*found, *page.items]
            pages += 1
            if not (page.has_previous if backward else page.has_next) or (size == 0 and pages == 10):
                break
            if backward:
                request = PageRequest(last=size, before=page.start_cursor)
            else:
                request = PageRequest(first=size, after=page.end_cursor)
        if size:
            assert found == [each for each in everything if matches(each)], filter
            assert pages <= len(found) // size + len(everything) // 7 + 2


@pytest.mark.parametrize("field", [each for each in OrderField if each is not OrderField.CREATED_AT])
async def test_actions_of_all_runs_have_no_other_order(repository: ActionRepo, field: OrderField) -> None:
    with pytest.raises(InvalidArgument, match=f"for {field.name}, name a run"):
        await repository.list_actions(order=Order(field))
