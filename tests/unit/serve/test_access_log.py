"""The queue and the writer: nothing blocks, nothing is lost quietly."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from torana.base.errors import ConfigError
from torana.serve import access_log
from torana.serve.access_log import AccessLog, open_access_log
from torana.serve.options import AccessLogOptions

Opening = Callable[..., AccessLog]


class Told(list[str]):
    """Sentences that the log reported, and an event for the first."""

    def __init__(self) -> None:
        self.came = threading.Event()

    def __call__(self, sentence: str) -> None:
        self.append(sentence)
        self.came.set()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def opening(told: Told) -> Iterator[Opening]:
    logs: list[AccessLog] = []

    def open_it(file: Path, format: str = "json", start: bool = True) -> AccessLog:
        log = AccessLog(AccessLogOptions(format=format, file=str(file)), told)
        logs.append(log)
        if start:
            log.start()
        return log

    yield open_it
    for log in logs:
        log.close()


def record(log: AccessLog, target: bytes = b"/", **changes: Any) -> None:
    values: dict[str, Any] = {"fields": [], "request_id": None, "response_fields": None, "client": "192.0.2.1"}
    values.update(changes)
    log.record(
        values["client"], "GET", target, "1.1", 200, 13, 0.001, 1_000_000_000.0, values["request_id"],
        values["fields"], values["response_fields"],
    )  # fmt: skip


def test_every_request_becomes_one_line_in_order(opening: Opening, tmp_path: Path) -> None:
    log = opening(tmp_path / "log")
    for number in range(1000):
        record(log, b"/%d" % number)
    log.close()
    lines = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(line)["target"] for line in lines] == [f"/{number}" for number in range(1000)]
    assert (log.dropped, log.lost) == (0, 0)


def test_lines_appear_without_close(opening: Opening, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # Opened both ways, so that there is never an end of file.
    with open(os.open(fifo, os.O_RDWR), "rb", buffering=0) as lines:
        log = opening(fifo, "%(U)s")
        for target in (b"/first", b"/second"):
            record(log, target)
            assert lines.readline() == target + b"\n"
        log.close()


def test_the_wanted_fields_are_kept_and_the_first_of_a_name_wins(opening: Opening, tmp_path: Path) -> None:
    log = opening(tmp_path / "log", "%(a)s %(f)s %({x-one}i)s %({X-Two}o)s")
    record(
        log,
        fields=[(b"host", b"h"), (b"user-agent", b"ua"), (b"user-agent", b"other"), (b"x-one", b"1")],
        response_fields=[(b"X-Two", b"2"), (b"set-cookie", b"s")],
    )
    record(log)
    log.close()
    assert (tmp_path / "log").read_text() == "ua - 1 2\n- - - -\n"


def test_request_ids_are_the_clients_if_legal_else_new(opening: Opening, tmp_path: Path) -> None:
    log = opening(tmp_path / "log", "%(id)s")
    record(log, fields=[(b"x-request-id", b"mine")])
    record(log, fields=[(b"x-request-id", b"not legal")])
    record(log, request_id="given")
    record(log)
    log.close()
    mine, second, given, last = (tmp_path / "log").read_text().splitlines()
    assert (mine, given) == ("mine", "given")
    assert len({second, last, log.next_request_id()}) == 3
    assert log.request_id([(b"x-request-id", b"abc")]) == "abc"
    assert log.request_id([(b"x-request-id", b"a b")]) != log.request_id([])


def test_a_full_queue_drops_and_counts(opening: Opening, tmp_path: Path, told: Told) -> None:
    log = opening(tmp_path / "log", start=False)
    for _ in range(access_log.QUEUE_ENTRIES + 7):
        record(log)
    assert log.dropped == 7
    log.start()
    log.close(20)
    assert len((tmp_path / "log").read_text().splitlines()) == access_log.QUEUE_ENTRIES
    assert told == [f"access log {tmp_path / 'log'}: 7 lines lost"]


def test_long_values_are_bounded_in_bytes(opening: Opening, tmp_path: Path) -> None:
    log = opening(tmp_path / "log", start=False)
    most = access_log.QUEUE_BYTES // 4096
    for _ in range(most + 100):
        record(log, b"/" + b"a" * 100_000)
    assert 90 <= log.dropped <= 100
    log.start()
    log.close(20)
    assert max(map(len, (tmp_path / "log").read_text().splitlines())) <= 4096


def test_the_byte_bound_is_free_again_when_the_queue_was_written(opening: Opening, tmp_path: Path) -> None:
    log = opening(tmp_path / "log", "%(U)s")
    most = access_log.QUEUE_BYTES // 4096
    written = 0
    while written < 2 * most:
        before = log.dropped
        record(log, b"/" + b"a" * 5000)
        if log.dropped == before:
            written += 1
    log.close(20)
    assert len((tmp_path / "log").read_text().splitlines()) == written


def test_a_file_moved_away_is_written_until_reopened(opening: Opening, tmp_path: Path) -> None:
    path, moved = tmp_path / "log", tmp_path / "log.1"
    log = opening(path, "%(U)s", start=False)
    record(log, b"/before")
    log.start()
    log.close()
    path.rename(moved)
    log = opening(path, "%(U)s")
    log.reopen()
    record(log, b"/after")
    log.close()
    assert (moved.read_text(), path.read_text()) == ("/before\n", "/after\n")


def test_rotation_under_load_loses_nothing(opening: Opening, tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = opening(path, "%(U)s")
    for number in range(2000):
        record(log, b"/%d" % number)
        if number % 500 == 250:
            if path.exists():
                path.rename(tmp_path / f"log.{number}")
            log.reopen()
    log.close(20)
    lines = [line for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    assert sorted(lines) == sorted(f"/{number}" for number in range(2000))


def test_many_threads_may_record(opening: Opening, tmp_path: Path) -> None:
    log = opening(tmp_path / "log", "%(U)s")

    def work(name: int) -> None:
        for number in range(500):
            record(log, b"/%d/%d" % (name, number))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close(20)
    lines = (tmp_path / "log").read_text().splitlines()
    assert sorted(lines) == sorted(f"/{name}/{number}" for name in range(4) for number in range(500))


def test_a_file_that_cannot_be_opened_is_reported_and_costs_lines_only(
    opening: Opening, tmp_path: Path, told: Told
) -> None:
    log = opening(tmp_path / "missing" / "log")
    record(log)
    assert told.came.wait(10)
    log.close()
    assert log.lost <= 1
    assert "No such file or directory" in told[0]


def test_a_full_device_is_reported_and_costs_lines_only(opening: Opening, told: Told) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    log = opening(Path("/dev/full"))
    record(log)
    assert told.came.wait(10)
    log.close()
    assert log.lost == 1
    assert "No space left" in told[0]


def test_a_reader_that_stalls_does_not_hold_the_end(opening: Opening, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        log = opening(fifo)
        for _ in range(5000):
            record(log)
        log.close(5)
        assert log.lost > 0
    finally:
        os.close(reader)


def test_off_makes_nothing_and_a_bad_format_is_refused() -> None:
    assert open_access_log(AccessLogOptions(is_on=False)) is None
    with pytest.raises(ConfigError):
        open_access_log(AccessLogOptions(format="jsn"))


def test_standard_output_is_the_default(capfd: pytest.CaptureFixture[str]) -> None:
    log = open_access_log(AccessLogOptions())
    assert log is not None
    record(log)
    log.close()
    assert json.loads(capfd.readouterr().out)["status"] == 200
