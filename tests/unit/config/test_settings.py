"""The table of settings: complete, free of contradictions, and in step with the options it fills."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import fields, replace

from torana.base.secret import Secret
from torana.config.assemble import assemble, run_options
from torana.config.check import check
from torana.config.explain import spellings
from torana.config.foreign import FOREIGN
from torana.config.origin import Origin, Rank, Said
from torana.config.reference import page
from torana.config.setting import Setting, option_at
from torana.config.settings import BY_NAME, SETTINGS, key_of, nearest
from torana.config.sources import Gathered
from torana.config.unavailable import HIDDEN
from torana.net.options import ListenOptions, NetOptions, TlsOptions
from torana.process.options import Program, RunOptions

#: Options that no single setting fills, each with the reason.
WITHOUT_SETTING = {
    "net.listen.tls.alpn": "follows from --http",
    "gateway.is_multiprocess": "follows from the number of workers",
    "gateway.mount": "follows from mount",
    "serve.timeouts.idle_linger_s": "what keeps a retirement from losing a request (RFC 9112 section 9.5)",
    "process.is_supervised": "follows from workers and from what only a supervisor can do",
    "process.max_requests_jitter": "each worker draws its own; one process has it in max_requests",
    "process.systemd": "a fact, not a wish",
    "process.runtime_dir": "a fact, not a wish",
    "process.program.words": "how this program was started",
    "process.program.environ": "how this program was started",
    "process.program.directory": "how this program was started",
    "process.handoff": "what the program before this one says",
    "application.secret": "made by chance",
    "notices": "what configuration itself has to say",
}

CONTRACT = """
-b --bind --host --port -w --workers --threads --interface --factory --app-dir --root-path --lifespan --loop --certfile
--keyfile --keyfile-password --ca-certs --cert-reqs --http --reload --reload-dir --access-log --no-access-log
--access-log-format --log-level --log-config --config --env-file --backlog --limit-concurrency --max-requests
--max-requests-jitter --max-rss --max-lifetime --forwarded-allow-ips --proxy-protocol --preload --user --group --umask
--pid --header --no-server-header --no-date-header --static
""".split()


def option_paths(options: Any, prefix: str = "") -> list[str]:
    paths = []
    for field in fields(options):
        value = getattr(options, field.name)
        path = f"{prefix}{field.name}"
        paths += option_paths(value, path + ".") if isinstance(value, Struct) else [path]
    return paths


WHOLE = RunOptions(net=NetOptions(listen=ListenOptions(tls=TlsOptions(certfile=""))))


def test_every_option_is_filled_by_one_setting() -> None:
    filled = Counter(setting.fills for setting in SETTINGS if setting.fills)
    assert [path for path, count in filled.items() if count > 1] == []
    assert set(option_paths(WHOLE)) - set(filled) == set(WITHOUT_SETTING)
    assert set(filled) <= set(option_paths(WHOLE))


def test_no_flag_and_no_name_means_two_things() -> None:
    flags = Counter(flag for setting in SETTINGS for flag in spellings(setting))
    assert [flag for flag, count in flags.items() if count > 1] == []
    assert len(BY_NAME) == len(SETTINGS)
    assert not {key_of(flag) for flag in flags if len(flag) > 2} & {name for name in FOREIGN if len(name) > 1}


def test_every_flag_of_the_contract_exists() -> None:
    flags = {flag for setting in SETTINGS for flag in spellings(setting)}
    assert set(CONTRACT) <= flags


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_setting_is_well_declared(setting: Setting) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", setting.name)
    assert setting.help.endswith(".") and setting.section and setting.since
    assert setting.kind.accepts
    assert setting.show(setting.default_value)


@pytest.mark.parametrize("setting", [s for s in SETTINGS if s.fills], ids=lambda setting: setting.name)
def test_a_default_stands_in_its_option(setting: Setting) -> None:
    if setting.name in ("bind", "certfile"):
        return
    assert option_at(WHOLE, setting.fills) == setting.default_value


#: A value for each kind of setting, other than its default.
EXAMPLES = {
    "affinity": "header:X-Session",
    "text": "some", "path": ".", "integer": "7", "duration": "7", "size": "777k", "mode": "027", "address": "fd:7",
    "network": "10.0.0.7", "field": "X-A: b", "mount point": "/seven", "certificate": "a.pem:b.pem",
    "hooks": "on_exit=site:goodbye", "service": "jobs=run them", "socket": "/run/x.ctl",
    "application": "/api=api:app", "purpose": "/sse/*", "words": "--seven 'a word'",
}  # fmt: skip


@pytest.mark.parametrize(
    "setting",
    [s for s in SETTINGS if s.fills and s.name not in ("workers", "certfile") and not s.must_exist],
    ids=lambda setting: setting.name,
)
def test_what_is_said_arrives_in_the_option(setting: Setting) -> None:
    kind = setting.kind.name
    if kind == "switch":
        text = "false" if setting.default_value else "true"
    elif kind == "choice":
        text = next(word for word in setting.kind.metavar.split("|") if word not in (setting.default_value, "uvloop"))
    else:
        text = EXAMPLES[kind]
    if setting.name in ("limit_method", "limit_write_resume"):
        text = "7"
    gathered = Gathered()
    gathered.add(Said(setting.name, text, Origin(Rank.FLAG, setting.flag)))
    if setting.fills.startswith("net.listen.tls"):
        gathered.add(Said("certfile", __file__, Origin(Rank.FLAG, "--certfile")))
        gathered.add(Said("ca_certs", __file__, Origin(Rank.FLAG, "--ca-certs")))
    value = option_at(run_options(gathered), setting.fills)
    if setting.name == "mount":
        value = (replace(value[0], application=replace(value[0].application, secret=Secret())),)
    assert value == setting.kind.read(text) or setting.name in ("max_requests", "limit_write_resume")
    assert value != setting.default_value


def test_no_secret_is_seen_where_options_are_shown() -> None:
    """As in a traceback with the values of variables."""
    gathered = Gathered(program=Program(("torana", "run"), (("DATABASE", "pa55word"),), "/srv"))
    gathered.add(Said("certfile", __file__, Origin(Rank.FLAG, "--certfile")))
    gathered.add(Said("keyfile_password", "pa55word", Origin(Rank.FLAG, "--keyfile-password")))
    settings = check(gathered)
    options = assemble(settings)
    assert options.net.listen.tls is not None
    assert options.net.listen.tls.keyfile_password == "pa55word"
    assert "pa55word" not in repr(settings) + repr(options)
    assert len(options.application.secret) > 20
    assert options.application.secret not in repr(options)


def test_the_reference_page_tells_all_that_can_be_used() -> None:
    text = page()
    for setting in SETTINGS:
        assert (f"\n### {setting.name}\n" in text) is (setting.name not in HIDDEN)


@pytest.mark.parametrize(
    ("typed", "meant"), [("prot", "port"), ("timeout_keepalive", "timeout_keep_alive"), ("zzzz", None)]
)
def test_the_nearest_name(typed: str, meant: str | None) -> None:
    assert nearest(typed) == meant
