"""``torana run APP``: serve until a signal says stop."""

from __future__ import annotations

import click

from torana.cli.flags import SettingsCommand, said, said_app
from torana.config.assemble import run_options
from torana.config.sources import gather


@click.command("run", cls=SettingsCommand, options_metavar="[SETTINGS]")
@click.argument("app", required=False)
@click.pass_context
def command(ctx: click.Context, /, app: str | None, **_: object) -> None:
    """Serve an application.

    APP is module:attribute, module, or a .py file; without it the current directory is searched. Each setting can
    also be a key of torana.toml or of [tool.torana] in pyproject.toml, and a variable: --log-level is TORANA_LOG_LEVEL.
    """
    options = run_options(gather(said_app(app) + said(ctx)))
    if options.reload.is_on:
        from torana.process.reload import run_reloading

        run_reloading(options)
        return
    from torana.process.worker import run_single

    run_single(options)
