"""The reference page of all settings in Markdown: ``python -m torana.config.reference``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from torana.config.explain import spellings
from torana.config.setting import Setting
from torana.config.settings import SETTINGS
from torana.config.unavailable import HIDDEN
from torana.process.options import HOOK_EVENTS

_INTRODUCTION = """\
# Settings

Each setting can be a flag, a variable, or a key of `torana.toml` (or of `[tool.torana]` in `pyproject.toml`).
A flag wins over a variable, a variable over the file, the file over the default. `torana explain SETTING` says which
value is used and where it was set; `torana check` says what would run.

Times are seconds or carry a unit (`0.5`, `30s`, `2m`, `1h`), sizes are bytes or carry one (`64k`, `100MiB`; k, m and g
count by 1024). A setting that may be given several times is a list in the file and separated by commas in a variable.
Paths in a file are relative to that file. `PORT` sets the default port and makes the default host 0.0.0.0,
`WEB_CONCURRENCY` the default of workers, `NO_COLOR` turns colour off. More certificates are tables in the file:

    [[sni_certificate]]
    certfile = "other.example.pem"
    keyfile = "other.example.key"

So are several applications (`host` may be a list, `*.example.org` stands for all names below; `interface`, `factory`,
`app_dir`, `app_args`, `lifespan`, `threads`, `asgi_for` and `asgi_app` are as the settings of these names, `root_path`
what the application is told as its mount point if that is not all of `path`):

    [[app]]
    app = "site.wsgi:application"

    [[app]]
    app = "api.main:app"
    path = "/api"
    host = "www.example.org"

So are programs that run beside the workers (`restart` is always, on-failure or never; `command` is a list of words, or
one text for the shell), and functions that are called when something happens, with one object that says what it is:

    [[service]]
    name = "jobs"
    command = ["rq", "worker"]
    cwd = "jobs"
    restart = "always"
    timeout_stop = "10s"

    [hooks]
    when_ready = "shop.events:tell_monitoring"
    post_fork = ["shop.events:seed", "shop.events:connect"]

"""
_EVENTS = f"The events are {', '.join(f'`{event}`' for event in HOOK_EVENTS)}.\n"


def page(settings: tuple[Setting, ...] = SETTINGS) -> str:
    """The whole page."""
    return _INTRODUCTION + _EVENTS + "".join(_parts(settings))


def _parts(settings: tuple[Setting, ...]) -> Iterator[str]:
    section = ""
    for setting in settings:
        if setting.name in HIDDEN:
            continue
        if setting.section != section:
            section = setting.section
            yield f"\n## {section}\n"
        flags = ", ".join(f"`{flag}`" for flag in spellings(setting)) or "the argument `APP`"
        yield (
            f"\n### {setting.name}\n\n{_escaped(setting.help)}\n\n"
            f"- flag: {flags}\n- variable: `{setting.variable}`\n"
            f"- accepted: {_escaped(setting.kind.accepts)}\n"
            f"- default: {_escaped(setting.show(setting.default_value))}\n- since: {setting.since}\n"
        )


def _escaped(text: str) -> str:
    return text.replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;").replace("[", "\\[")


if __name__ == "__main__":
    sys.stdout.write(page())
