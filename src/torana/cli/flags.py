"""Flags of the commands, made from the settings: nothing about a setting is written here.

A flag only carries what was typed, with its spelling; reading it is ``config``'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from torana.base.errors import ConfigError
from torana.config.foreign import FOREIGN
from torana.config.origin import Origin, Rank, Said
from torana.config.setting import Setting
from torana.config.settings import BY_NAME, SETTINGS, key_of, nearest
from torana.config.unavailable import HIDDEN

#: The setting that takes all behind ``--``, as it is.
_BEHIND = "app_args"


#: The setting that takes what stands behind "--".
_BEHIND = "app_args"


class Flag(click.Option):
    """One spelling of a setting's flag, and what is to be put before its value."""

    def __init__(self, setting: Setting, spellings: list[str], prefix: str = "", *, is_hidden: bool = False) -> None:
        self.setting = setting
        self.prefix = prefix
        self.spelling = spellings[-1]
        is_switch = setting.kind.name == "switch"
        if is_switch:
            spellings = [f"{spelling}/--no-{spelling.removeprefix('--')}" for spelling in spellings]
        super().__init__(
            [_parameter_name(self.spelling), *spellings],
            # Flags carry texts: one kind of value, one kind of complaint.
            type=None if is_switch else str,
            is_flag=is_switch or None,
            multiple=setting.kind.is_many,
            default=None,
            hidden=is_hidden,
            metavar=None if is_switch else setting.kind.metavar,
            help=setting.help,
        )


def _parameter_name(spelling: str) -> str:
    """A name for click, which wants identifiers; each spelling has its own, so that complaints can name it."""
    return "flag" + spelling.replace("_", "__").replace("-", "_")


def flags_of(settings: tuple[Setting, ...] = SETTINGS) -> Iterator[Flag]:
    """All flags: the documented ones with their short forms, then the other spellings, hidden."""
    for setting in settings:
        if setting.name == "app":
            continue
        short = [spelling for spelling in setting.also if not spelling.startswith("--")]
        is_hidden = setting.name in HIDDEN
        yield Flag(setting, [*short, setting.flag], is_hidden=is_hidden)
        for spelling in setting.also:
            if spelling.startswith("--"):
                yield Flag(setting, [spelling], is_hidden=True)
        for spelling, prefix in setting.prefixed:
            yield Flag(setting, [spelling], prefix, is_hidden=True)


class SettingsCommand(click.Command):
    """A command that takes settings as flags: every one, unless a subclass takes fewer."""

    takes: tuple[Setting, ...] = SETTINGS

    def __init__(self, name: str, **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self.params += list(flags_of(self.takes))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before ``--``, and say more about an unknown flag than click would."""
        if "--" in args and _BEHIND in {setting.name for setting in self.takes}:
            place = args.index("--")
            ctx.meta[_BEHIND], args = tuple(args[place + 1 :]), args[:place]
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(self._unknown(error.option_name), ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The flags by section, as in the reference."""
        rows: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                section = parameter.setting.section if isinstance(parameter, Flag) else "Other"
                rows.setdefault(section, []).append(_with_default(parameter, record))
        for section, records in rows.items():
            with formatter.section(section):
                formatter.write_dl(records)

    def _unknown(self, flag: str) -> str:
        advice = FOREIGN.get(flag.lstrip("-")) or FOREIGN.get(key_of(flag.partition("=")[0]))
        if advice:
            return f"{flag} means nothing here; {advice}"
        close = nearest(flag, [spelling for each in self.params for spelling in (*each.opts, *each.secondary_opts)])
        hint = f"did you mean {close}?" if close else f"torana {self.name} --help lists all"
        return f"there is no flag {flag}; {hint}"


def _with_default(parameter: click.Parameter, record: tuple[str, str]) -> tuple[str, str]:
    if not isinstance(parameter, Flag):
        return record
    setting = parameter.setting
    if setting.kind.name == "switch":
        spelling = setting.flag.replace("--", "--no-", 1) if setting.default_value else setting.flag
        return spelling, f"{record[1]} [{'on' if setting.default_value else 'off'}]"
    return record[0], f"{record[1]} [{setting.show(setting.default_value)}]"


def said(ctx: click.Context) -> list[Said]:
    """What was typed, as settings. A setting that takes one value and was typed in two spellings is refused."""
    found: dict[str, Said] = {}
    for parameter in ctx.command.params:
        if not isinstance(parameter, Flag):
            continue
        raw = ctx.params.get(parameter.name or "")
        if raw is None or raw == ():
            continue
        setting = parameter.setting
        if parameter.prefix:
            raw = tuple(parameter.prefix + value for value in raw)
        before = found.get(setting.name)
        if before is not None and not setting.kind.is_many:
            raise ConfigError(f"{setting.name} was said twice: {before.origin.place} and {parameter.spelling}")
        if before is not None:
            raw = (*before.raw, *raw)
        found[setting.name] = Said(setting.name, raw, Origin(Rank.FLAG, parameter.spelling))
    behind = ctx.meta.get(_BEHIND)
    if behind:
        before = found.get(_BEHIND)
        raw = (*before.raw, *behind) if before else behind
        found[_BEHIND] = Said(_BEHIND, raw, Origin(Rank.FLAG, "--"))
    return list(found.values())


def said_app(app: str | None) -> list[Said]:
    """The application that was typed as an argument."""
    return [] if app is None else [Said(BY_NAME["app"].name, app, Origin(Rank.FLAG, "the command line"))]
