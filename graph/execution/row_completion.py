"""Completes the objects of a list whose fields are resolved: all together, without a task for each field that
only waits for a loader."""

from asyncio import Future, ensure_future, gather
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graphql import GraphQLObjectType, GraphQLOutputType
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path

from graph.execution.completion import Complete
from graph.execution.resolver_calls import Execution, ListItemPath, ResolverCall, path_of


class ResolvedField(NamedTuple):
    """A field that is resolved for each object of a list."""

    attribute: str
    """Of the struct."""
    response_name: str
    call: ResolverCall
    complete: Complete


@dataclass(slots=True)
class RowCompletion:
    """Resolves and completes the remaining fields of the structs of one list."""

    execution: Execution
    parent: GraphQLObjectType
    item_type: GraphQLOutputType
    details: FieldDetailsList
    path: Path
    fields: Sequence[ResolvedField]
    structs: list[Any]
    _waiting: list[tuple[int, ResolvedField, Future[Any], bool]] = field(default_factory=list)
    """Index, field, result, and whether the result is complete."""

    def run(self, objects: Sequence[Any]) -> list[Any] | Awaitable[list[Any]]:
        """The completed list, or an awaitable of it."""
        execution, is_awaitable = self.execution, self.execution.is_awaitable
        try:
            for index, source in enumerate(objects):
                for field in self.fields:
                    try:
                        result = field.call.resolve(execution, source, self._field_path(index, field))
                        if is_awaitable(result):
                            self._waiting.append((index, field, _started(result), False))
                            continue
                        self._set(index, field, result)
                    except Exception as error:
                        self._fail(index, field, error)
        except Exception:
            execution.settle_in_background([each[2] for each in self._waiting])
            raise
        return self._finish() if self._waiting else self.structs

    def _field_path(self, index: int, field: ResolvedField) -> ListItemPath:
        return self.path, index, field.response_name, self.parent.name

    def _set(self, index: int, field: ResolvedField, result: Any) -> None:
        try:
            completed = field.complete(result)
        except Exception:
            completed = self.execution.complete(field.call, result, self._field_path(index, field))
            if self.execution.is_awaitable(completed):
                self._waiting.append((index, field, _started(completed), True))
                return
        setattr(self.structs[index], field.attribute, completed)

    def _fail(self, index: int, field: ResolvedField, error: Exception) -> None:
        """Record the error of a field. Raises if it makes the whole list null."""
        execution, call = self.execution, field.call
        try:
            path = path_of(self._field_path(index, field))
            execution.handle_field_error(error, call.field.type, call.details, path)
        except Exception as raised:
            execution.handle_field_error(raised, self.item_type, self.details, Path(self.path, index, None))
            self.structs[index] = None

    async def _finish(self) -> list[Any]:
        # The results of one loader are all ready when its first one is. Completing may append to the list.
        try:
            for index, field, future, is_complete in self._waiting:
                if self.structs[index] is None:
                    future.cancel()
                    continue
                try:
                    result = await future
                    if is_complete:
                        setattr(self.structs[index], field.attribute, result)
                    else:
                        self._set(index, field, result)
                except Exception as error:
                    self._fail(index, field, error)
        except BaseException:
            futures = [future for _, _, future, _ in self._waiting]
            for future in futures:
                future.cancel()
            await gather(*futures, return_exceptions=True)
            raise
        return self.structs


def _started(awaitable: Any) -> "Future[Any]":
    future: Future[Any] = ensure_future(awaitable)
    if future is not awaitable:
        future.add_done_callback(_retrieve_exception)
    return future


def _retrieve_exception(future: "Future[Any]") -> None:
    """Keep asyncio from logging the exception of a future that is never awaited."""
    if not future.cancelled():
        future.exception()
