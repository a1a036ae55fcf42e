"""``torana run APP``: serve until a signal says stop."""

from __future__ import annotations

import click

from torana.cli.flags import SettingsCommand, said, said_app
from torana.config.assemble import run_options
from torana.config.sources import gather
from torana.process.options import RunOptions


@click.command("run", cls=SettingsCommand, options_metavar="[SETTINGS]")
@click.argument("app", required=False)
@click.pass_context
def command(ctx: click.Context, /, app: str | None, **_: object) -> int | None:
    """Serve an application.

    APP is module:attribute, module, or a .py file; without it the current directory is searched. Each setting can
    also be a key of torana.toml or of [tool.torana] in pyproject.toml, and a variable: --log-level is TORANA_LOG_LEVEL.
    """

    def read() -> RunOptions:
        return run_options(gather(said_app(app) + said(ctx)))

    options = read()
    if options.reload.is_on:
        from torana.process.reload import run_reloading

        run_reloading(options)
        return None
    if options.process.is_supervised:
        from torana.process.supervisor import run_supervised

        return run_supervised(options, read)
    from torana.process.worker import run_single

    run_single(options)
    return None
