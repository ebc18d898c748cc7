"""Arguments and options that commands share which call a server."""

from pathlib import Path
from typing import Annotated

import typer

from graph.cli.remote.completion import complete_actions, complete_runs

LOCAL = "http://127.0.0.1:8000/graphql"

Url = Annotated[
    str,
    typer.Option(
        envvar="RUNGRAPH_URL",
        show_envvar=False,
        help="The address of the server, instead of RUNGRAPH_URL.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        show_default=False,
        help="An API token, if the server requires one, instead of RUNGRAPH_TOKEN. Arguments are visible to "
        "other users: prefer RUNGRAPH_TOKEN or a file.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        show_default=False,
        help="A file with the token, instead of RUNGRAPH_TOKEN_FILE or ~/.config/rungraph/token.",
    ),
]
Run = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        show_default=False,
        autocompletion=complete_runs,
        help="The run: PROJECT/DOMAIN/RUN, where RUN may contain slashes, its name alone, or the address "
        "of its page.",
    ),
]
Action = Annotated[
    str | None,
    typer.Argument(
        metavar="[ACTION]",
        show_default=False,
        autocompletion=complete_actions,
        help="An action of the run; by default the one that the address names, if any.",
    ),
]
Project = Annotated[
    str | None, typer.Option(show_default=False, help="The project of the run, if RUN does not name it.")
]
Domain = Annotated[str | None, typer.Option(show_default=False, help="The domain of the run, likewise.")]
Name = Annotated[
    str | None,
    typer.Option("--run", show_default=False, help="The name of the run, instead of RUN."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="As JSON, one object per line, with the names of the API's fields.")
]
Follow = Annotated[
    bool,
    typer.Option(
        "--follow", "-f", help="Go on with what is new until the end, also after a lost connection."
    ),
]
