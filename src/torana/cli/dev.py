"""``torana dev APP``: serve for development."""

from __future__ import annotations

import click

from torana.cli.flags import SettingsCommand, said, said_app
from torana.config.assemble import run_options
from torana.config.sources import gather

#: What the command stands for, whatever a file or a variable says.
COMMANDED = {"reload": True, "workers": 1}
#: What it would rather have than the defaults: quick stops, errors in the open, and nobody from outside to see them.
PREFERRED = {"error_pages": True, "host": "127.0.0.1", "timeout_graceful": 0.5, "timeout_cancel": 0.5}


@click.command("dev", cls=SettingsCommand, options_metavar="[SETTINGS]")
@click.argument("app", required=False)
@click.pass_context
def command(ctx: click.Context, /, app: str | None, **_: object) -> None:
    """Serve for development.

    One worker, a reload whenever a file changes, errors shown on the page. Everything else is as in torana run.
    """
    gathered = gather(said_app(app) + said(ctx), commanded=COMMANDED, preferred=PREFERRED, command="torana dev")
    options = run_options(gathered)
    if not options.reload.is_on:
        raise click.UsageError("torana dev without reloading is torana run", ctx)
    from torana.process.reload import run_reloading

    run_reloading(options)
