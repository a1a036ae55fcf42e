"""What the commands to a running server have in common: their flags, whom they speak to, and how an answer is shown."""

from __future__ import annotations

import sys
from typing import Any

import click

from torana.cli.flags import SettingsCommand, said
from torana.config.assemble import assemble
from torana.config.check import check
from torana.config.settings import BY_NAME
from torana.config.sources import gather
from torana.process.exit_codes import FAILED, STOPPED

#: What says where a server listens; one of them said, and no other server will do.
_PLACES = ("bind", "host", "port", "pid")
_TAKES = (*_PLACES, "control_socket", "config", "env_file")


class RemoteCommand(SettingsCommand):
    """A command to a running server: takes the settings by which that is found."""

    takes = tuple(BY_NAME[name] for name in _TAKES)


def socket_of(ctx: click.Context) -> str:
    """The control socket of the server that the flags, the environment and the directory mean; raises ``NoServer``."""
    from torana.process.ask import find_server

    settings = check(gather(said(ctx)))
    return find_server(assemble(settings), is_named=any(settings.is_set(name) for name in _PLACES))


def put(ctx: click.Context, request: dict[str, Any]) -> dict[str, Any]:
    """Ask the server that is meant; raises ``ToranaError``."""
    from torana.process.ask import ask

    return ask(socket_of(ctx), request)


def conclude(answer: dict[str, Any], as_json: bool, sentence: str) -> int:
    """Show what became of a request; returns the exit code."""
    if as_json:
        print_json(answer)
    elif answer.get("ok"):
        print(sentence)
    else:
        complain(answer)
    return STOPPED if answer.get("ok") else FAILED


def complain(answer: dict[str, Any]) -> None:
    """Say why the server did not do it, after the traceback where there is one."""
    text = str(answer.get("text") or "").strip("\n")
    if text:
        print(text, file=sys.stderr)
    word = click.style("Error:", fg="red", bold=True) if sys.stderr.isatty() else "Error:"
    print(f"{word} {answer.get('why') or 'the server refused and did not say why'}", file=sys.stderr)


def print_json(answer: dict[str, Any]) -> None:
    """One answer as JSON for programs."""
    import json

    print(json.dumps(answer, indent=2, ensure_ascii=False))
