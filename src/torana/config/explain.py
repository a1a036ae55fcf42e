"""What can be told about settings: for ``torana explain`` and for the reference page."""

from __future__ import annotations

from torana.config.check import Settings
from torana.config.origin import Rank
from torana.config.setting import Setting
from torana.config.settings import BY_NAME, SETTINGS
from torana.config.unavailable import HIDDEN


def explain(settings: Settings, name: str) -> list[tuple[str, str]]:
    """All about one setting, as (label, text) lines; an empty label is a line of its own."""
    setting, chosen = BY_NAME[name], settings.chosen[name]
    lines = [
        ("", setting.help),
        ("", ""),
        ("value", setting.show(chosen.value)),
        ("set by", chosen.origin.place if chosen.origin.rank > Rank.DEFAULT else "nobody (this is the default)"),
    ]
    lines += [("not heard", origin.place) for origin in chosen.overruled]
    lines += [
        ("default", setting.show(setting.default_value)),
        ("accepted", setting.kind.accepts),
        ("flag", ", ".join(spellings(setting)) or "the argument APP"),
        ("variable", setting.variable),
        ("file key", setting.name),
    ]
    return lines


def overview(settings: Settings) -> list[tuple[str, str, str]]:
    """All settings as (name, value, where it was set); the place is empty for defaults."""
    rows = []
    for setting in SETTINGS:
        chosen = settings.chosen[setting.name]
        place = chosen.origin.place if chosen.origin.rank > Rank.DEFAULT else ""
        if setting.name not in HIDDEN:
            rows.append((setting.name, setting.show(chosen.value), place))
    return rows


def spellings(setting: Setting) -> list[str]:
    """Every way to write a setting as a flag, the documented one first."""
    if setting.name == "app":
        return []
    flags = [setting.flag, *setting.also, *(flag for flag, _ in setting.prefixed)]
    if setting.kind.name != "switch":
        return flags
    return [*flags, *("--no-" + flag.removeprefix("--") for flag in flags if flag.startswith("--"))]
