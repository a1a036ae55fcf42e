"""The log's lines on a pipe that is read, that is not read, and that is gone."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator

import pytest

from torana.process.log_lines import LineHandler

Pipe = tuple[int, LineHandler]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 16384)
    os.set_blocking(reader, False)
    yield reader, LineHandler(writer)
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:
            pass


def log(handler: LineHandler, text: str) -> None:
    handler.handle(logging.LogRecord("torana", logging.INFO, "", 0, text, None, None))


def read(reader: int) -> str:
    parts = []
    try:
        while part := os.read(reader, 65536):
            parts.append(part)
    except BlockingIOError:
        pass
    return b"".join(parts).decode()


def test_lines_arrive_whole_whatever_is_in_them(pipe: Pipe) -> None:
    reader, handler = pipe
    log(handler, "first")
    log(handler, "second \N{SNOWMAN} \udcff")
    assert read(reader) == "first\nsecond \N{SNOWMAN} \\udcff\n"


def test_nobody_waits_for_a_reader_and_what_is_lost_is_counted(pipe: Pipe) -> None:
    reader, handler = pipe
    count = 100_000
    for number in range(count):
        log(handler, f"line {number}")
    kept = read(reader)
    log(handler, "again")
    told = read(reader)
    whole = kept.splitlines() if kept.endswith("\n") else kept.splitlines()[:-1]
    assert whole == [f"line {number}" for number in range(len(whole))]
    assert told.lstrip("\n") == f"({count - len(whole)} lines of this log are lost: nobody read them in time)\nagain\n"
    log(handler, "and on")
    assert read(reader) == "and on\n"


def test_a_line_longer_than_the_pipe_is_torn_and_the_next_one_begins_anew(pipe: Pipe) -> None:
    reader, handler = pipe
    log(handler, "x" * 300_000)
    assert set(read(reader)) == {"x"}
    log(handler, "next")
    assert read(reader) == "\n(1 lines of this log are lost: nobody read them in time)\nnext\n"


def test_a_reader_that_is_gone_is_no_error(pipe: Pipe) -> None:
    reader, handler = pipe
    os.close(reader)
    log(handler, "first")
    log(handler, "second")
