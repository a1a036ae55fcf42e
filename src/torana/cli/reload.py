"""``torana reload``: have a running server load the application anew, and say what became of it."""

from __future__ import annotations

import click

from torana.cli.reach import RemoteCommand, conclude, put


@click.command("reload", cls=RemoteCommand, options_metavar="[SETTINGS]")
@click.option("--json", "as_json", is_flag=True, help="The answer, for programs.")
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, **_: object) -> int:
    """Have a running server load the application anew.

    One worker after the other is replaced, and no request is lost. Waits until that is done. If the new code cannot
    be loaded, the old one serves on, its traceback is printed, and the exit code is 1.
    """
    answer = put(ctx, {"do": "reload"})
    took = f" after {answer['took_s']:.1f} s" if isinstance(answer.get("took_s"), (int, float)) else ""
    return conclude(answer, as_json, f"Reloaded{took}: generation {answer.get('generation')} serves")
