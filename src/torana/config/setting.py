"""What one setting is. Its table of all settings is ``settings``; the tables themselves lie in ``sections``."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from torana.config.kinds import Kind
from torana.net.options import ListenOptions, NetOptions, TlsOptions
from torana.process.options import RunOptions


class _FromOption:
    """Marks a default that stands in the option class, so that no number is written twice."""


FROM_OPTION: Final = _FromOption()


class Setting(Struct, frozen=True):
    """One thing a deployer may say; flag, variable, file key, help and reference page all come from here.

    ``name`` is the file key ("timeout_keep_alive"), spelt with dashes as a flag and with TORANA_ as a variable.
    ``fills`` is the option it becomes, a path from ``RunOptions`` ("serve.timeouts.keep_alive_s"); "" if ``assemble``
    combines it with others. ``also``: other spellings of the flag. ``prefixed``: spellings whose value gets a prefix.
    ``unset`` says what happens without a value, where the default is None or stands for a calculation.
    """

    name: str
    kind: Kind
    help: str
    fills: str = ""
    default: Any = FROM_OPTION
    also: tuple[str, ...] = ()
    prefixed: tuple[tuple[str, str], ...] = ()
    unset: str = ""
    #: "file" or "directory" if the value names one that must exist.
    must_exist: str = ""
    is_secret: bool = False
    section: str = ""
    since: str = "0.1"

    @property
    def flag(self) -> str:
        """The flag as the documentation spells it."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return "TORANA_" + self.name.upper()

    @property
    def default_value(self) -> Any:
        """The value if nobody says anything."""
        return option_at(_options_of_defaults(), self.fills) if self.default is FROM_OPTION else self.default

    def show(self, value: Any) -> str:
        """A value as a person would write it; a secret stays one."""
        if self.is_secret and value is not None:
            return "(set)"
        if value is None or (self.unset and value in ("", ())):
            return self.unset or "not set"
        return self.kind.show(value)


def table(section: str, *settings: Setting) -> tuple[Setting, ...]:
    """The settings of one section, in the order of the help and the reference page."""
    return tuple(replace(setting, section=section) for setting in settings)


def option_at(options: RunOptions, path: str) -> Any:
    """The option that a path such as "serve.timeouts.keep_alive_s" leads to."""
    value: Any = options
    for name in path.split("."):
        value = getattr(value, name)
    return value


@cache
def _options_of_defaults() -> RunOptions:
    """Options whose every branch exists, TLS too."""
    return RunOptions(net=NetOptions(listen=ListenOptions(tls=TlsOptions(certfile=""))))
