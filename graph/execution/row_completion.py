"""Owns how what resolvers give is put into the structs of a list: all at a time, without a task for each that
only waits for a loader."""

from asyncio import Future, ensure_future, gather
from collections.abc import Sequence
from typing import Any

from graphql import GraphQLObjectType, GraphQLOutputType
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path

from graph.execution.completion import Complete
from graph.execution.resolver_calls import Call, path_of

Plan = tuple[str, str, Call, Complete]
"""A field that is resolved for each object of a list: its place in the struct and in the answer, how it is
called, and what makes of its value what is encoded."""


class Filling:
    """Puts what resolvers give into the structs of a list, all of them at a time."""

    def __init__(
        self,
        executor: Any,
        parent: GraphQLObjectType,
        item_type: GraphQLOutputType,
        details: FieldDetailsList,
        path: Path,
        plans: Sequence[Plan],
        structs: list[Any],
    ) -> None:
        self._executor = executor
        self._parent = parent
        self._item_type = item_type
        self._details = details
        self._path = path
        self._plans = plans
        self._structs = structs
        self._waiting: list[tuple[int, Plan, Future[Any], bool]] = []

    def begin(self, objects: Sequence[Any]) -> Any:
        """The list; or something to await, which gives it."""
        executor, is_awaitable = self._executor, self._executor.is_awaitable
        try:
            for index, source in enumerate(objects):
                for plan in self._plans:
                    place = self._path, index, plan[1], self._parent.name
                    try:
                        result = plan[2].resolve(executor, source, place)
                        if is_awaitable(result):
                            self._waiting.append((index, plan, _begun(result), False))
                            continue
                        self._put(index, plan, result)
                    except Exception as error:
                        self._fail(index, plan, error)
        except Exception:
            executor.settle_in_background([each[2] for each in self._waiting])
            raise
        return self._finish() if self._waiting else self._structs

    def _put(self, index: int, plan: Plan, result: Any) -> None:
        try:
            completed = plan[3](result)
        except Exception:
            place = self._path, index, plan[1], self._parent.name
            completed = self._executor.complete(plan[2], result, place)
            if self._executor.is_awaitable(completed):
                self._waiting.append((index, plan, _begun(completed), True))
                return
        setattr(self._structs[index], plan[0], completed)

    def _fail(self, index: int, plan: Plan, error: Exception) -> None:
        """Note the error of a field. Raises where that takes away the list."""
        executor, path = self._executor, self._path
        call, place = plan[2], (path, index, plan[1], self._parent.name)
        try:
            executor.handle_field_error(error, call.field.type, call.details, path_of(place))
        except Exception as raised:
            executor.handle_field_error(raised, self._item_type, self._details, Path(path, index, None))
            self._structs[index] = None

    async def _finish(self) -> list[Any]:
        # Those of one loader are all there when the first one is. Some may be added meanwhile.
        try:
            for index, plan, future, is_complete in self._waiting:
                if self._structs[index] is None:
                    future.cancel()
                    continue
                try:
                    result = await future
                    if is_complete:
                        setattr(self._structs[index], plan[0], result)
                    else:
                        self._put(index, plan, result)
                except Exception as error:
                    self._fail(index, plan, error)
        except BaseException:
            futures = [future for _, _, future, _ in self._waiting]
            for future in futures:
                future.cancel()
            await gather(*futures, return_exceptions=True)
            raise
        return self._structs


def _begun(awaitable: Any) -> "Future[Any]":
    future: Future[Any] = ensure_future(awaitable)
    if future is not awaitable:
        future.add_done_callback(_hear)
    return future


def _hear(future: "Future[Any]") -> None:
    """Take note of an error that nobody may come to ask for."""
    if not future.cancelled():
        future.exception()
