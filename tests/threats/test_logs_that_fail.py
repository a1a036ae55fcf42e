"""G-097: wherever a log cannot be written, requests are answered; what was lost is counted once the log is back."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.server import REPOSITORY, Server, running
from tests.support.supervised import until
from tests.threats.stage import Bystander

REQUESTS = 50


def _full(folder: Path) -> Path:
    return Path("/dev/full")


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "access.log")
    return folder / "access.log"


def _served(server: Server) -> None:
    with Bystander(server.address) as bystander:
        bystander.begin()
        until(lambda: len(bystander.latencies_s) + len(bystander.failures) >= REQUESTS, "answers")
    assert not bystander.failures, bystander.failures[:3]
    assert server.process.poll() is None


@pytest.mark.parametrize(
    "log",
    [
        pytest.param(
            log,
            marks=pytest.mark.threat("G-097", sent=f"the access log is {what}", verdict="requests are answered"),
            id=what,
        )
        for log, what in ((_full, "on a full disk"), (_fifo, "a pipe without a reader"))
    ],
)
def test_a_log_that_cannot_be_written(tmp_path: Path, log: Callable[[Path], Path]) -> None:
    flags = ("--access-log-file", str(log(tmp_path)))
    known = {"NOTES": str(tmp_path / "notes")}
    with running("tests.threats.sites.asgi_site:app", *flags, app_dir=REPOSITORY, environment=known) as server:
        _served(server)
        assert len(server.log) < 8000, "the other log pays for it"


@pytest.mark.threat(
    "G-097", sent="the folder of the log is removed, and USR1 sent", verdict="served; written again once it can be"
)
def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "access.log"
    known = {"NOTES": str(tmp_path / "notes")}
    flags = ("--access-log-file", str(log))
    with running("tests.threats.sites.asgi_site:app", *flags, app_dir=REPOSITORY, environment=known) as server:
        _served(server)
        until(lambda: log.exists() and log.read_bytes().count(b"\n") >= REQUESTS, "the log is written")
        shutil.rmtree(folder)
        os.kill(server.pid, signal.SIGUSR1)
        _served(server)
        folder.mkdir()
        os.kill(server.pid, signal.SIGUSR1)
        until(log.exists, "the log is there again")
        _served(server)
        until(lambda: log.read_bytes().count(b"\n") >= REQUESTS, "the log is written again")


@pytest.mark.threat(
    "G-097", sent="the access log is rotated by rename and USR1, ten times under load", verdict="no line is lost"
)
def test_rotation_loses_nothing(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    known = {"NOTES": str(tmp_path / "notes")}
    flags = ("--access-log-file", str(log))
    with running("tests.threats.sites.asgi_site:app", *flags, app_dir=REPOSITORY, environment=known) as server:
        with Bystander(server.address) as bystander:
            bystander.begin()
            until(log.exists, "a log")
            for turn in range(10):
                count = len(bystander.latencies_s)
                until(lambda count=count: len(bystander.latencies_s) > count + 3, "answers")  # type: ignore[misc]
                log.rename(tmp_path / f"access.{turn}")
                os.kill(server.pid, signal.SIGUSR1)
                until(log.exists, "a new log")
        assert not bystander.failures
    logs = [log, *(tmp_path / f"access.{turn}" for turn in range(10))]
    assert sum(path.read_bytes().count(b"\n") for path in logs) == len(bystander.latencies_s)
