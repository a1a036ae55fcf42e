"""``torana dump``: have the workers of a running server log what they are doing."""

from __future__ import annotations

import click

from torana.cli.reach import RemoteCommand, conclude, put


@click.command("dump", cls=RemoteCommand, options_metavar="[SETTINGS]")
@click.argument("worker", type=click.IntRange(1), metavar="[PID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="The answer, for programs.")
@click.pass_context
def command(ctx: click.Context, /, worker: int | None, as_json: bool, **_: object) -> int:
    """Have the workers of a running server, or the one with a PID, log what they are doing.

    The stacks of all threads and tasks, and the requests in flight, go to the server's standard error.
    """
    answer = put(ctx, {"do": "dump", "worker": worker or 0})
    pids = ", ".join(map(str, answer.get("workers") or ())) or "none"
    return conclude(answer, as_json, f"The log of the server shows what its workers do (pid {pids})")
