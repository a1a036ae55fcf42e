"""torana.run and torana.Server are one process: what asks for more is refused or mentioned, never half done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import torana
from torana.base.errors import ConfigError
from torana.process import worker
from torana.process.options import RunOptions


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "WEB_CONCURRENCY", "TORANA_WORKERS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[RunOptions]:
    """The options that would have been carried out."""
    carried: list[RunOptions] = []
    monkeypatch.setattr(worker, "run_single", lambda options, **_: carried.append(options))
    return carried


@pytest.mark.parametrize(
    "settings",
    [{"workers": 4}, {"workers": "auto"}, {"preload": True}, {"max_rss": "1g"}, {"hooks": {"on_exit": "a:b"}},
     {"service": [{"name": "a", "command": "b"}]}, {"user": "www"}],
)  # fmt: skip
def test_what_needs_several_processes_is_refused(ran: list[RunOptions], settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(
        ConfigError, match=rf"^{name} \(torana.run\({name}=...\)\): torana.run serves in its own process"
    ):
        torana.run("shop:app", **settings)
    with pytest.raises(ConfigError, match=r"torana\.Server serves in its own process"):
        torana.Server("shop:app", **settings)
    assert ran == []


def test_what_was_meant_for_the_command_is_mentioned(ran: list[RunOptions], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    torana.run("shop:app")
    (options,) = ran
    assert not options.process.is_supervised and options.process.workers == 1
    assert not options.gateway.is_multiprocess
    assert options.notices == ("torana.run serves in its own process: it does without workers (WEB_CONCURRENCY)",)


def test_one_worker_is_what_it_is(ran: list[RunOptions]) -> None:
    torana.run("shop:app", workers=1)
    assert not ran[0].process.is_supervised and ran[0].notices == ()
