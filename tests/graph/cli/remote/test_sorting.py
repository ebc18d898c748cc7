"""Sorting more objects than are kept in memory."""

from random import Random

import pytest

from graph.cli.remote import sorting
from graph.cli.remote.sorting import Sorted


@pytest.mark.parametrize("count", [0, 3, 50, 1234])
def test_objects_are_sorted_and_only_a_part_of_them_is_kept(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(sorting, "PART", 50)
    random = Random(count)
    objects = [{"at": str(random.randrange(100)), "number": n, "text": "ä\n" * 400} for n in range(count)]
    with Sorted(lambda each: str(each["at"])) as found:
        for first in range(0, count, 7):
            found.add(objects[first : first + 7])
            assert len(found._last) < 50
        assert list(found) == sorted(objects, key=lambda each: str(each["at"]))
