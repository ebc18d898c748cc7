"""Pages of runs with a filter: in each order and both directions they have each matching run once."""

from collections.abc import Callable

import pytest

from repo import (
    ActionPhase,
    ActionRepo,
    Grant,
    Label,
    LabelFilter,
    Order,
    OrderField,
    Page,
    PageRequest,
    Role,
    Run,
    RunFilter,
    RunIdentifier,
)
from repo.domain.authorization import Access
from tests.support.making import at, new, update

FILTERS: list[tuple[RunFilter, Callable[[int], bool]]] = [
    (RunFilter(search="even"), lambda i: i % 2 == 0),
    (RunFilter(search="production/odd"), lambda i: i % 2 == 1),
    (RunFilter(labels=(LabelFilter("fifth"),)), lambda i: i % 5 == 0),
    (RunFilter(all_labels=(LabelFilter("team", "ml"), LabelFilter("fifth"))), lambda i: i % 5 == 0),
    (RunFilter(phases=(ActionPhase.FAILED,)), lambda i: i % 3 == 1),
    (RunFilter(search="even", phases=(ActionPhase.FAILED,)), lambda i: i % 6 == 4),
    (RunFilter(project="ml", labels=(LabelFilter("team", "ml"),)), lambda i: i % 4 == 0),
    (RunFilter(project="ml", domain="production"), lambda i: i % 4 == 0),
    (RunFilter(search="no such run"), lambda i: False),
]
"""Filters, each with the numbers of the runs that match."""


def run(number: int) -> RunIdentifier:
    name = f"{'odd' if number % 2 else 'even'}-{number:02}"
    return RunIdentifier("etl" if number % 4 else "ml", "production", name)


async def fill(repository: ActionRepo) -> None:
    """Forty runs with many equal times, phases and durations, and a few that have not ended."""
    fifth = (Label("fifth", "x"),)
    await repository.actions.create(
        [
            new(run=run(i), created_at=at(i // 10), labels=(Label("team", "ml"), *(() if i % 5 else fifth)))
            for i in range(40)
        ]
    )
    ended = [
        update("a0", ActionPhase.FAILED if i % 3 == 1 else ActionPhase.SUCCEEDED, run=run(i), end_time=at(9))
        for i in range(40)
        if i % 3
    ]
    await repository.actions.update_phases(ended)


async def read_all(
    repository: ActionRepo, filter: RunFilter, order: Order, size: int, backward: bool
) -> list[Run]:
    """The items of all pages, in the order of the list."""
    found: list[Run] = []
    page: Page[Run] | None = None
    while page is None or (page.has_previous if backward else page.has_next):
        assert page is None or len(page.items) == size, "only the last page is short"
        assert len(found) <= 40, "pages repeat rows"
        if backward:
            request = PageRequest(last=size, before=page.start_cursor if page else None)
            page = await repository.runs.page(filter, order, request)
            found = [*page.items, *found]
        else:
            request = PageRequest(first=size, after=page.end_cursor if page else None)
            page = await repository.runs.page(filter, order, request)
            found = [*found, *page.items]
    return found


@pytest.mark.parametrize(
    "order",
    [
        Order(),
        Order(OrderField.ENDED_AT, descending=True),
        Order(OrderField.DURATION, descending=False),
        Order(OrderField.NAME, descending=False),
    ],
)
async def test_pages_with_a_filter_have_each_matching_run_once_in_order(
    repository: ActionRepo, order: Order
) -> None:
    await fill(repository)
    in_ml = repository.on_behalf_of(Access(frozenset([Grant(Role.VIEWER, "ml")])))
    everything = await repository.runs.page(order=order, page=PageRequest(first=100))
    numbers = [int(each.name[-2:]) for each in everything.items]
    for filter, matches in FILTERS:
        expected = [run(i) for i in numbers if matches(i)]
        for backward in (False, True):
            found = await read_all(repository, filter, order, 3, backward)
            assert [each.identifier for each in found] == expected, (filter, backward)
        visible = [each for each in expected if each.project == "ml"]
        found = await read_all(in_ml, filter, order, 3, backward=False)
        assert [each.identifier for each in found] == visible, filter
        assert await in_ml.runs.count(filter) == len(visible)
