"""``torana stop``: stop a running server, and wait for its end."""

from __future__ import annotations

from typing import Any

import click

from torana.cli.reach import RemoteCommand, conclude, socket_of


@click.command("stop", cls=RemoteCommand, options_metavar="[SETTINGS]")
@click.option("--now", is_flag=True, help="At once, and not when running requests are finished.")
@click.option("--json", "as_json", is_flag=True, help="The answer, for programs.")
@click.pass_context
def command(ctx: click.Context, /, now: bool, as_json: bool, **_: object) -> int:
    """Stop a running server, and wait for its end.

    It takes no new connections, finishes the requests that run (timeout_graceful), and ends.
    """
    from torana.process.ask import ask

    def wait(answer: dict[str, Any]) -> None:
        if not as_json:
            print(f"Server {answer.get('pid')} is stopping", flush=True)

    return conclude(ask(socket_of(ctx), {"do": "stop", "now": now}, then=wait), as_json, "Stopped")
