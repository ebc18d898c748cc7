"""Compares the table `runs` with what a scan of all actions says."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

SAME = """run_key key project domain run_name source task_name task_version function_name trigger_task_name
    trigger_name created_by_subject phase abort_state created_at ended_at updated_at duration_ms""".split()


async def read_runs(connection: AsyncConnection) -> tuple[list[Any], list[Any]]:
    """The rows of the table, and those that it should have."""
    same = ", ".join(SAME)
    stored = f"""SELECT {same}, CAST(labels AS text), created_by_name, search_text, error_code, run_time,
        paused_actions FROM runs ORDER BY run_key"""
    expected = f"""SELECT {same}, CAST(labels AS text), created_by ->> 'name', coalesce(run_search_text, ''),
        CASE WHEN phase IN (70, 80, 90, 110) AND error_attempt = attempts THEN error ->> 'code' END,
        coalesce(triggered_at, created_at),
        (SELECT count(*) FROM actions a WHERE a.run_key = actions.run_key AND a.phase = 50)
        FROM actions WHERE parent_key IS NULL ORDER BY run_key"""
    found = [[tuple(row) for row in await connection.execute(text(each))] for each in (stored, expected)]
    return found[0], found[1]
