"""G-099: the wall clock jumps by a day, back and forth, or stands still; nobody who serves or waits takes notice.

A library loaded before all others moves it, for the whole server, while it runs; the monotonic clock is left alone, as
when an administrator sets the time. (libfaketime does not do: with it, Python 3.11 cannot sleep.)
"""

from __future__ import annotations

import email.utils
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.raw import Connection
from tests.support.server import Server
from tests.support.supervised import children_of, supervised, until, write_site

DAY_S = 86400


class Place(NamedTuple):
    """Two workers, and the file that moves their clock."""

    server: Server
    clock: Path

    def date_s(self, connection: Connection) -> float:
        """What time it is for a worker, by the Date of an answer; seconds since 1970."""
        date = connection.ask("GET", "/1").get("date")
        assert date is not None
        return email.utils.parsedate_to_datetime(date.decode()).timestamp()


#: The offset, or behind an "=" the only time there is, both in seconds, stands in the file that CLOCK names.
_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static int (*real)(clockid_t, struct timespec *);

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (real == NULL) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    FILE *file = clock == CLOCK_REALTIME ? fopen(getenv("CLOCK"), "r") : NULL;
    if (file != NULL) {
        long long seconds = 0;
        if (fscanf(file, "=%lld", &seconds) == 1) { now->tv_sec = seconds; now->tv_nsec = 0; }
        else if (fscanf(file, "%lld", &seconds) == 1) now->tv_sec += seconds;
        fclose(file);
    }
    return result;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where != NULL) *where = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict where, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    where->tv_sec = now.tv_sec;
    where->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


def _library(folder: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux and a C compiler")
    (folder / "clock.c").write_text(_SOURCE)
    built = folder / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", built, folder / "clock.c", "-ldl"], check=True)
    return built


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    clock = tmp_path / "clock"
    _set(clock, "0")
    environment = {"LD_PRELOAD": str(_library(tmp_path)), "CLOCK": str(clock)}
    site = tmp_path / "site"
    site.mkdir()
    write_site(site)
    with supervised(site, "--timeout-hang", "2", workers=2, environment=environment) as server:
        yield Place(server, clock)


def _set(clock: Path, text: str) -> None:
    """In one step: it is read at any moment."""
    other = clock.with_suffix(".new")
    other.write_text(text)
    os.replace(other, clock)


@pytest.mark.parametrize(
    "moved_s",
    [
        pytest.param(
            moved_s,
            marks=pytest.mark.threat(
                "G-099", sent=f"the wall clock of a running server is set {sent}",
                verdict="running requests, kept connections and workers live on; Date follows",
            ),
        )
        for moved_s, sent in ((DAY_S, "a day forward"), (-DAY_S, "a day back"), (4000 * DAY_S, "years forward"))
    ],
)  # fmt: skip
def test_a_jump(place: Place, moved_s: int) -> None:
    server = place.server
    workers = children_of(server.pid)
    with Connection(server.address) as kept, Connection(server.address) as running:
        assert abs(place.date_s(kept) - time.time()) < 60
        running.request("GET", "/slow3")
        _set(place.clock, str(moved_s))
        until(lambda: abs(place.date_s(kept) - time.time() - moved_s) < 60, "the clock jumps")
        assert running.read().status == 200
        _set(place.clock, "0")
        until(lambda: abs(place.date_s(kept) - time.time()) < 60, "the clock jumps back")
        assert running.ask("GET", "/1").status == 200
    assert children_of(server.pid) == workers
    assert "died" not in server.log and "Traceback" not in server.log, server.log[-4000:]


@pytest.mark.threat("G-099", sent="the wall clock stands still", verdict="served all the while")
def test_a_clock_that_stands_still(place: Place) -> None:
    workers = children_of(place.server.pid)
    with Connection(place.server.address) as kept:
        frozen = int(time.time())
        _set(place.clock, f"={frozen}")
        # Workers keep a Date for a second: the one they have may be a second early, or late.
        until(lambda: place.date_s(kept) == frozen, "the clock stands still")
        assert kept.ask("GET", "/slow2").status == 200
        assert place.date_s(kept) == frozen
    assert children_of(place.server.pid) == workers
