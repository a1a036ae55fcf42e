"""From what was said to values: each raw value is read by its kind, or refused with name, place and what is accepted.

The one exit is ``Settings``: every setting, checked, with its origin. Nothing here runs or opens anything but asks
whether named files exist.
"""

from __future__ import annotations

import os
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from torana.base.errors import ConfigError
from torana.base.secret import Secret
from torana.config.app_kinds import where_of
from torana.config.kinds import InnerError
from torana.config.origin import DEFAULT, Origin, Rank, Said
from torana.config.setting import Setting
from torana.config.settings import BY_NAME, SETTINGS
from torana.config.sources import Gathered
from torana.config.unavailable import refusal_of
from torana.process.options import Program


class Chosen(Struct, frozen=True):
    """A setting's value and who chose it; ``overruled`` are the places that were not heard."""

    value: Any
    origin: Origin
    overruled: tuple[Origin, ...] = ()


class Settings(Struct, frozen=True):
    """Every setting with its checked value."""

    chosen: dict[str, Chosen]
    notices: tuple[str, ...] = ()
    systemd: tuple[tuple[str, str], ...] = ()
    runtime_dir: str = ""
    program: Program = field(default_factory=Program)
    handoff: str = ""

    def __getitem__(self, name: str) -> Any:
        """The value of a setting."""
        return self.chosen[name].value

    def origin(self, name: str) -> Origin:
        """Where a setting's value comes from."""
        return self.chosen[name].origin

    def is_set(self, name: str) -> bool:
        """Whether anybody said anything about a setting."""
        return self.chosen[name].origin.rank > Rank.DEFAULT


def check(gathered: Gathered) -> Settings:
    """Read and check everything; raises ``ConfigError`` at the first thing that cannot be.

    What was overruled is checked too, so that a mistake in a file shows before the flag that hid it is taken away.
    """
    chosen = {}
    for setting in SETTINGS:
        said = gathered.said.get(setting.name, [])
        values = [_read(setting, one) for one in said]
        if values:
            chosen[setting.name] = Chosen(values[0], said[0].origin, tuple(one.origin for one in said[1:]))
        else:
            chosen[setting.name] = Chosen(setting.default_value, DEFAULT)
    settings = Settings(
        chosen, tuple(gathered.notices), gathered.systemd, gathered.runtime_dir, gathered.program, gathered.handoff
    )  # fmt: skip
    _check_heard(settings)
    _check_together(settings)
    return settings


def _read(setting: Setting, said: Said) -> Any:
    try:
        value = setting.kind.read(said.raw)
    except InnerError as error:
        raise ConfigError(f"{setting.name} ({said.origin.place_of(error.key)}): {error}") from None
    except ValueError as error:
        raise ConfigError(_refusal(setting, said, str(error))) from None
    return Secret(value) if setting.is_secret else _located(setting, value, said.origin)


def _refusal(setting: Setting, said: Said, why: str) -> str:
    raw = said.raw[0] if isinstance(said.raw, (tuple, list)) and len(said.raw) == 1 else said.raw
    found = "a value that is not shown" if setting.is_secret else repr(raw)
    reason = f": {why}" if why else ""
    return f"{setting.name} ({said.origin.place}): found {found}{reason}; accepted: {setting.kind.accepts}"


def _located(setting: Setting, value: Any, origin: Origin) -> Any:
    """Paths in a file are relative to that file, wherever the server is started."""
    if origin.directory is None or setting.kind.name not in ("path", "certificate", "service", "socket", "application"):
        return value

    def locate(path: str | None) -> str | None:
        return path if path in (None, "-") else os.path.join(origin.directory or "", str(path))

    if setting.kind.name == "socket" and value in ("auto", "off"):
        return value
    if setting.kind.name == "service":
        return tuple(replace(one, cwd=locate(one.cwd)) for one in value)
    if setting.kind.name == "application":
        inner = [replace(one.application, app_dir=locate(one.application.app_dir)) for one in value]
        return tuple(replace(one, application=each) for one, each in zip(value, inner, strict=True))
    if not setting.kind.is_many:
        return locate(value)
    return tuple(tuple(map(locate, one)) if isinstance(one, tuple) else locate(one) for one in value)


def _check_heard(settings: Settings) -> None:
    """Checks of single values that only count for the value that is used."""
    for name, chosen in settings.chosen.items():
        if chosen.origin.rank is Rank.DEFAULT:
            continue
        refusal = refusal_of(name, chosen.value)
        if refusal:
            raise ConfigError(f"{name} ({chosen.origin.place}): {refusal}")
        if BY_NAME[name].must_exist:
            _check_existence(BY_NAME[name], chosen)


def _check_existence(setting: Setting, chosen: Chosen) -> None:
    flat = chosen.value if setting.kind.is_many else (chosen.value,)
    for path in [path for one in flat for path in (one if isinstance(one, tuple) else (one,)) if path is not None]:
        exists = os.path.isdir(path) if setting.must_exist == "directory" else os.path.isfile(path)
        if not exists:
            raise ConfigError(f"{setting.name} ({chosen.origin.place}): there is no {setting.must_exist} {path!r}")
        if not os.access(path, os.R_OK):
            raise ConfigError(f"{setting.name} ({chosen.origin.place}): {path!r} cannot be read by this user")


def _check_together(settings: Settings) -> None:
    """Settings that only make sense with others."""
    if settings["certfile"] is None:
        for name in ("keyfile", "keyfile_password", "sni_certificate", "ca_certs", "cert_reqs", "ciphers"):
            if settings.is_set(name) and settings[name] not in ((), "none"):
                raise ConfigError(f"{name} ({settings.origin(name).place}): TLS needs certfile as well")
    if settings["cert_reqs"] != "none" and settings["ca_certs"] is None:
        place = settings.origin("cert_reqs").place
        raise ConfigError(f"cert_reqs ({place}): client certificates need ca_certs to be checked against")
    _check_order(settings, "timeout_head", "timeout_head_max")
    _check_order(settings, "limit_write_resume", "limit_write_buffer")
    _check_services(settings)
    _check_mounts(settings)
    if settings["loop"] == "uvloop":
        _check_uvloop(settings)


def _check_order(settings: Settings, lesser: str, greater: str) -> None:
    """Refuse two values in the wrong order if both were said; where one is a default, ``assemble`` moves it."""
    both = settings.is_set(lesser) and settings.is_set(greater)
    if both and settings[greater] and settings[lesser] > settings[greater]:
        raise ConfigError(
            f"{lesser} ({settings.origin(lesser).place}) must not be more than {greater} "
            f"({settings.origin(greater).place})"
        )


def _check_services(settings: Settings) -> None:
    """Each service has a name of its own, and a directory that exists."""
    origin = settings.origin("service")
    seen: set[str] = set()
    for index, one in enumerate(settings["service"]):
        if one.name in seen:
            raise ConfigError(f"service ({origin.place_of(f'{index}.name')}): a second one is called {one.name!r}")
        seen.add(one.name)
        if one.cwd is not None and not os.path.isdir(one.cwd):
            raise ConfigError(f"service ({origin.place_of(f'{index}.cwd')}): there is no directory {one.cwd!r}")


def _check_mounts(settings: Settings) -> None:
    """Each application has a place of its own, and a directory that exists."""
    origin = settings.origin("mount")
    seen: dict[str, str] = {}
    for index, one in enumerate(settings["mount"]):
        place = origin.place_of(f"{index}.path" if one.path else f"{index}.host" if one.hosts else str(index))
        for where in where_of(one):
            if where in seen:
                raise ConfigError(
                    f"mount ({place}): {one.application.target} and {seen[where]} are both said to be at {where}"
                )
            seen[where] = one.application.target
        app_dir = one.application.app_dir
        if app_dir is not None and not os.path.isdir(app_dir):
            place = origin.place_of(f"{index}.app_dir")
            raise ConfigError(f"mount ({place}): there is no directory {app_dir!r}")


def _check_uvloop(settings: Settings) -> None:
    from importlib.util import find_spec

    if find_spec("uvloop") is None:
        raise ConfigError(f"loop ({settings.origin('loop').place}): uvloop is not installed; say auto or asyncio")
