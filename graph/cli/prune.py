"""`rungraph prune`: removes old runs and shows the progress."""

from contextlib import nullcontext
from datetime import timedelta

from rich.console import Console

import repo
from graph.settings import Settings


async def prune_runs(
    settings: Settings, older_than: timedelta, project: str | None, domain: str | None, dry_run: bool
) -> str:
    """Removes the runs, shows the progress, and returns a summary. Raises DatabaseUnavailable, or
    SchemaOutdated if the database must be migrated first."""
    console, done = Console(stderr=True, highlight=False), repo.Pruned()
    status = console.status("searching for runs") if console.is_terminal else nullcontext()
    opened = repo.open_repository(
        settings.database_url, 2, settings.broadcast_url, artifact_store=settings.artifact_store
    )
    async with opened as repository:
        await repository.check()
        with status as shown:
            async for done in repository.pruning.prune(older_than, project, domain, dry_run):
                if shown is not None:
                    shown.update(summary(done, dry_run))
                elif not dry_run:
                    console.print(summary(done, dry_run))
    return summary(done, dry_run)


def summary(done: repo.Pruned, dry_run: bool) -> str:
    """A summary of what was removed."""
    runs, actions = (
        f"{count:,} {word}{'' if count == 1 else 's'}"
        for count, word in ((done.runs, "run"), (done.actions, "action"))
    )
    return f"{'would remove' if dry_run else 'removed'} {runs} with {actions}"
