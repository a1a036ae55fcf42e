"""``torana explain [SETTING]``: a setting's value, where it came from, its default and what it is for."""

from __future__ import annotations

import click

from torana.base.errors import ConfigError
from torana.cli.flags import SettingsCommand, said
from torana.config.check import check
from torana.config.explain import explain, overview
from torana.config.settings import BY_NAME, key_of, nearest
from torana.config.sources import gather


class Explain(SettingsCommand):
    """Takes a lone flag for the name of a setting."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """``torana explain --port`` asks for the setting, and gives no value."""
        if len(args) == 1 and key_of(args[0]) in BY_NAME:
            args = [key_of(args[0])]
        return super().parse_args(ctx, args)


@click.command("explain", cls=Explain, options_metavar="[SETTINGS]")
@click.argument("setting", required=False)
@click.pass_context
def command(ctx: click.Context, /, setting: str | None, **_: object) -> None:
    """Say what a setting is for, its value, and where that was set.

    SETTING is spelt in any way: timeout_body, --timeout-body, TORANA_TIMEOUT_BODY. Without it, all are listed. Flags
    count as they would for torana run.
    """
    settings = check(gather(said(ctx)))
    if setting is None:
        _print_table(overview(settings))
        return
    name = key_of(setting).removeprefix("torana_")
    if name not in BY_NAME:
        close = nearest(name)
        raise ConfigError(f"there is no setting {setting!r}" + (f"; did you mean {close!r}?" if close else ""))
    for label, text in explain(settings, name):
        print(f"{label:<12}{text}" if label else text)


def _print_table(rows: list[tuple[str, str, str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, place in rows:
        print(f"{name:<{widths[0]}}  {value:<{min(widths[1], 40)}}  {place}".rstrip())
