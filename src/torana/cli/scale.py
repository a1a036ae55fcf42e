"""``torana scale N``: change the number of workers of a running server."""

from __future__ import annotations

import click

from torana.cli.reach import RemoteCommand, conclude, put


@click.command("scale", cls=RemoteCommand, options_metavar="[SETTINGS]")
@click.argument("workers", type=click.IntRange(1, 4096), metavar="N")
@click.option("--json", "as_json", is_flag=True, help="The answer, for programs.")
@click.pass_context
def command(ctx: click.Context, /, workers: int, as_json: bool, **_: object) -> int:
    """Change the number of workers of a running server to N.

    New ones start at once, those that are too many finish what they do. What the configuration says holds again when
    the server is started anew.
    """
    answer = put(ctx, {"do": "scale", "workers": workers})
    return conclude(
        answer, as_json, f"{answer.get('wanted', workers)} workers are wanted, {answer.get('was')} were before"
    )
