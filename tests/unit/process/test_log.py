"""The server's own log."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from torana.base.errors import ConfigError
from torana.process.log import set_up_log
from torana.process.options import LogOptions


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    """Our logger, put back as it was after the test."""
    ours = logging.getLogger("torana")
    before = (list(ours.handlers), ours.level, ours.propagate, ours.disabled)
    root = (list(logging.root.handlers), logging.root.level)
    yield ours
    ours.handlers[:], level, ours.propagate, ours.disabled = before
    ours.setLevel(level)
    logging.root.handlers[:], level = root
    logging.root.setLevel(level)


def written(stream: io.StringIO, options: LogOptions, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    set_up_log(options)
    log = logging.getLogger("torana")
    log.info("listening")
    log.warning("careful")
    return stream.getvalue()


def test_plain_lines_carry_time_process_and_level(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = written(io.StringIO(), LogOptions(), monkeypatch).splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \[\d+\] INFO listening", lines[0])
    assert lines[1].endswith("WARNING careful")


def test_a_terminal_gets_short_coloured_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = written(Terminal(), LogOptions(), monkeypatch).splitlines()
    assert "\x1b[33mwarning: \x1b[0mcareful" in lines[1]
    assert "INFO" not in lines[0]
    assert "\x1b" not in written(Terminal(), LogOptions(color="never"), monkeypatch)
    assert "\x1b" in written(io.StringIO(), LogOptions(color="always"), monkeypatch)


def test_the_level_holds_and_the_root_logger_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(logging.root.handlers)
    assert "listening" not in written(io.StringIO(), LogOptions(level="warning"), monkeypatch)
    assert logging.root.handlers == before


CONFIGURATION = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"f": {"format": "CONFIGURED %(message)s"}},
    "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "f"}},
    "loggers": {"torana": {"handlers": ["h"], "level": "INFO", "propagate": False}},
}
TOML = """
version = 1
disable_existing_loggers = false
[formatters.f]
format = "CONFIGURED %(message)s"
[handlers.h]
class = "logging.StreamHandler"
formatter = "f"
[loggers.torana]
handlers = ["h"]
level = "INFO"
propagate = false
"""
INI = """
[loggers]
keys = root,torana
[handlers]
keys = h
[formatters]
keys = f
[formatter_f]
format = CONFIGURED %(message)s
[handler_h]
class = StreamHandler
formatter = f
args = ()
[logger_root]
handlers =
[logger_torana]
qualname = torana
handlers = h
level = INFO
propagate = 0
"""


@pytest.mark.parametrize(
    ("name", "text"), [("log.json", json.dumps(CONFIGURATION)), ("log.toml", TOML), ("log.ini", INI)]
)
def test_a_configuration_file_replaces_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    lines = written(io.StringIO(), LogOptions(config_file=str(path)), monkeypatch).splitlines()
    assert lines[0] == "CONFIGURED listening"


@pytest.mark.parametrize(
    ("name", "text"), [("log.json", "{"), ("log.toml", "= 1"), ("log.ini", "x"), ("log.json", "{}")]
)
def test_a_bad_configuration_file_is_a_configuration_error(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(name)):
        set_up_log(LogOptions(config_file=str(path)))
