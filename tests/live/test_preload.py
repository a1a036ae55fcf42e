"""``--preload`` with the real command: workers of one import, new code after HUP, warnings, a zygote that is killed."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.descriptors import descriptors
from tests.support.load import loading
from tests.support.server import Server
from tests.support.supervised import (
    answering,
    beginning,
    children_of,
    ended,
    is_there,
    ready_workers,
    send,
    supervised,
    until,
    write_site,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")

#: Said by the process that imports, once for each import.
IMPORTED = ('TEXT = "one"', 'TEXT = "one"; os.write(1, b"imported by %d\\n" % os.getpid())')


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_site(tmp_path, IMPORTED)
    return tmp_path


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that every user may read. Not below pytest's: each run that begins closes that to others."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def write(place: Path, text: str, *changes: tuple[str, str]) -> None:
    """Another version of the application."""
    write_site(place, (IMPORTED[0], IMPORTED[1].replace('"one"', f'"{text}"', 1)), *changes)


def zygotes(server: Server, since: int = 0) -> list[int]:
    """Who has imported the application, by process id."""
    return [int(pid) for pid in re.findall(r"^imported by (\d+)", server.log_since(since), re.MULTILINE)]


def text_of(server: Server) -> str:
    return httpx.get(f"{server.origin}/1").text.split(" ", 2)[2]


def test_one_import_serves_all_workers(place: Path) -> None:
    with supervised(place, "--preload", workers=3) as server:
        (zygote,) = zygotes(server)
        workers = set(ready_workers(server))
        assert len(workers) == 3 and zygote not in workers | {server.pid}
        # The workers are the supervisor's own, as without preload.
        assert children_of(server.pid) == workers | {zygote} and not children_of(zygote)
        assert answering(server) <= workers
    assert not any(map(is_there, workers | {zygote}))
    assert "Traceback" not in server.log and "ERROR" not in server.log and "WARNING" not in server.log


def test_without_a_number_there_is_one_worker(place: Path) -> None:
    with beginning(place, "--bind", "127.0.0.1:0", "--preload") as server:
        server.wait_until_ready()
        assert len(zygotes(server)) == 1 and answering(server, tries=1) != {server.pid}
        assert server.stop() == 0


def test_a_zygote_holds_no_listener(place: Path) -> None:
    """Whoever connects after the last worker is gone must be refused, not forgotten."""
    with supervised(place, "--preload", "--bind", f"unix:{place}/socket", "--bind", "127.0.0.1:0") as server:
        (zygote,) = zygotes(server)
        # It says that it has forked before it closes what was the worker's.
        until(lambda: len(set(descriptors(zygote).values())) == 1, "only its channel is left")
        with httpx.Client(transport=httpx.HTTPTransport(uds=f"{place}/socket")) as client:
            assert client.get("http://x/1").text.endswith("one")
    assert not (place / "socket").exists()


def test_a_reload_serves_the_new_code_from_a_new_zygote_and_loses_nothing(place: Path) -> None:
    with supervised(place, "--preload") as server:
        (old,) = zygotes(server)
        with loading(server.address, pause_s=0.001) as load:
            load.wait_for_answers(100)
            write(place, "two")
            mark = send(server, signal.SIGHUP)
            server.wait_for_log("Reloaded (generation 2)", since=mark)
            load.wait_for_answers(100)
        assert not load.tally.failures, load.tally.describe()
        assert set(load.tally.texts) == {"one", "two"} and text_of(server) == "two"
        (new,) = zygotes(server, mark)
        assert new != old
        until(lambda: not is_there(old), "the old zygote ends")
        assert is_there(new)
        # A worker that is replaced now comes from the new one.
        write(place, "three")
        os.kill(answering(server, tries=1).pop(), signal.SIGTERM)
        server.wait_for_log("retires", since=mark)
        until(lambda: len(ready_workers(server, mark)) == 3, "a replacement")
        assert text_of(server) == "two" and len(zygotes(server, mark)) == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("import asyncio", "import nowhere_to_be_found"), "needs the module 'nowhere_to_be_found'"),
        (("async def app", "raise LookupError('broken')\nasync def app"), "LookupError: broken"),
    ],
)
def test_broken_code_ends_the_reload_and_nothing_else(place: Path, change: tuple[str, str], sentence: str) -> None:
    with supervised(place, "--preload") as server:
        (zygote,) = zygotes(server)
        workers = answering(server)
        write(place, "two", change)
        mark = send(server, signal.SIGHUP)
        line = server.wait_for_log("The reload is abandoned", since=mark)
        assert sentence in line
        until(lambda: children_of(server.pid) == workers | {zygote}, "the new zygote is gone, all others are there")
        assert text_of(server) == "one"
        until(lambda: server.log_since(mark).count("Traceback") == 1, "the traceback is in the log, once")
        # The next worker is of the old code, whatever the file says.
        os.kill(answering(server, tries=1).pop(), signal.SIGKILL)
        until(lambda: len(ready_workers(server, mark)) == 1, "a replacement")
        assert answering(server) != workers and text_of(server) == "one"
        write(place, "three")
        send(server, signal.SIGHUP)
        server.wait_for_log("Reloaded", since=mark)
        assert text_of(server) == "three"


def test_a_failing_startup_in_the_new_workers_ends_the_reload(place: Path) -> None:
    with supervised(place, "--preload", "--lifespan", "on") as server:
        write(place, "two", ("startup():\n    pass", "startup():\n    raise LookupError('no database')"))
        mark = send(server, signal.SIGHUP)
        server.wait_for_log("The reload is abandoned", since=mark)
        server.wait_for_log("LookupError: no database", since=mark)
        assert text_of(server) == "one"


def test_a_reload_that_is_asked_for_during_the_import_imports_again(place: Path) -> None:
    """What was read of the code by then may be older than what is meant."""
    with supervised(place, "--preload") as server:
        write(place, "two", ("time.sleep(BOOT_S)", "time.sleep(600)"))
        mark = send(server, signal.SIGHUP)
        until(lambda: len(zygotes(server, mark)) == 1, "the import has begun")
        (sleeping,) = zygotes(server, mark)
        write(place, "three")
        send(server, signal.SIGHUP)
        server.wait_for_log("Reloaded", since=mark)
        assert text_of(server) == "three"
        until(lambda: not is_there(sleeping), "the import that nobody wants any more has ended")


@pytest.mark.threat(
    "G-107",
    sent="the process that workers are forked from is killed",
    verdict="workers serve on, the next fork has a new one",
)
def test_workers_notice_nothing_of_a_killed_zygote(place: Path) -> None:
    with supervised(place, "--preload") as server:
        (zygote,) = zygotes(server)
        workers = set(ready_workers(server))
        with loading(server.address, pause_s=0.001) as load:
            mark = server.mark()
            os.kill(zygote, signal.SIGKILL)
            server.wait_for_log(f"process {zygote} died: killed by signal 9", since=mark)
            until(lambda: len(zygotes(server, mark)) == 1, "a new zygote")
            load.wait_for_answers(50)
        assert not load.tally.failures, load.tally.describe()
        assert set(load.tally.by_worker) <= workers
        server.wait_for_log("is imported (zygote, generation 1)", since=mark)
        # Workers of the zygote that is gone are waited for, and replaced by the new one's.
        one = workers.pop()
        os.kill(one, signal.SIGKILL)
        server.wait_for_log(f"(pid {one}) died: killed by signal 9", since=mark)
        until(lambda: len(ready_workers(server, mark)) == 1, "a replacement")
        assert len(zygotes(server, mark)) == 1


def test_a_signal_to_all_processes_ends_them_in_order(place: Path) -> None:
    """As systemd does it (KillMode=control-group)."""
    with supervised(place, "--preload") as server:
        (zygote,) = zygotes(server)
        os.kill(zygote, signal.SIGTERM)  # alone it means nothing
        mark = send(server, signal.SIGTTIN)
        until(lambda: len(ready_workers(server, mark)) == 1, "another worker of the same zygote")
        assert len(zygotes(server)) == 1
        os.killpg(server.pid, signal.SIGTERM)
        assert ended(server) == 0
    assert "ERROR" not in server.log and "Traceback" not in server.log


def test_recycling_forks_from_the_present_zygote(place: Path) -> None:
    with supervised(place, "--preload", "--max-requests", "20") as server:
        with loading(server.address) as load:
            until(lambda: len(ready_workers(server)) >= 8, "some generations of workers")
        assert not load.tally.failures, load.tally.describe()
        assert len(zygotes(server)) == 1


def test_more_workers_come_from_the_same_zygote(place: Path) -> None:
    with supervised(place, "--preload") as server:
        mark = send(server, signal.SIGTTIN)
        until(lambda: len(ready_workers(server, mark)) == 1, "a third worker")
        assert len(zygotes(server)) == 1
        workers = set(ready_workers(server))
        until(lambda: answering(server) == workers, "all three answer")


def test_what_the_import_left_is_warned_about_by_name(place: Path) -> None:
    left = (
        "import asyncio, json",
        "import asyncio, socket, subprocess, threading\n"
        "ends = socket.create_server(('127.0.0.1', 0)), asyncio.new_event_loop()\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "threading.Thread(target=threading.Event().wait, name='metrics exporter', daemon=True).start()\n"
        "import json",
    )
    write(place, "one", left)
    with supervised(place, "--preload") as server:
        warnings = [line for line in server.log.splitlines() if "WARNING Preload" in line]
        child = re.search(r"has started the process (\d+)", server.log)
        assert child is not None
        os.kill(int(child[1]), signal.SIGKILL)
        for name in ("the thread 'metrics exporter'", "a TCP socket listening at 127.0.0.1:", "an event loop (asyncio"):
            assert len([line for line in warnings if name in line]) == 1, warnings
        until(lambda: answering(server) == set(ready_workers(server)), "all workers answer")


def test_a_broken_application_is_told_once_with_exit_code_3(place: Path) -> None:
    write(place, "one", ("async def app", "raise LookupError('broken')\nasync def app"))
    with beginning(place, "--bind", "127.0.0.1:0", "--workers", "2", "--preload") as server:
        assert ended(server) == 3
    assert server.log.count("Traceback") == 1 and "LookupError: broken" in server.log
    assert len(zygotes(server)) == 1


def test_a_start_that_is_stopped_during_the_import_ends_at_once(place: Path) -> None:
    write(place, "one", ("time.sleep(BOOT_S)", "time.sleep(600)"))
    with beginning(place, "--bind", "127.0.0.1:0", "--preload") as server:
        until(lambda: zygotes(server), "the import has begun")
        server.process.send_signal(signal.SIGTERM)
        assert ended(server) == 0
    assert not any(map(is_there, zygotes(server)))


def test_an_import_that_takes_too_long_is_shown_and_ended(place: Path) -> None:
    with supervised(place, "--preload", "--timeout-boot", "3") as server:
        write(place, "two", ("time.sleep(BOOT_S)", "time.sleep(600)"))
        mark = send(server, signal.SIGHUP)
        server.wait_for_log("still imports after 3 s", since=mark)
        server.wait_for_log("The reload is abandoned", since=mark)
        assert "site_one.py" in server.log_since(mark)  # the stack
        assert text_of(server) == "one"


@pytest.mark.threat("G-108", sent="random numbers of forked workers", verdict="no two alike")
def test_no_two_workers_draw_the_same_numbers(place: Path) -> None:
    write(
        place,
        "one",
        ("import asyncio", "import random; random.seed(1); import asyncio"),
        ("startup():\n    pass", "startup():\n    os.write(1, b'drawn %d\\n' % random.getrandbits(64))"),
    )
    with supervised(place, "--preload", workers=4) as server:
        drawn = re.findall(r"^drawn (\d+)", server.log, re.MULTILINE)
    assert len(drawn) == 4 == len(set(drawn))


def test_hooks_of_a_worker_run_in_the_worker(place: Path) -> None:
    (place / "told.py").write_text(
        "import os, sys\ndef post_fork(info):\n"
        "    told = info.pid, info.worker_pid == os.getpid(), 'site_one' in sys.modules\n"
        "    os.write(1, b'post_fork %d %d %d\\n' % told)\n"
    )
    (place / "torana.toml").write_text('[hooks]\npost_fork = "told:post_fork"\n')
    with supervised(place, "--preload") as server:
        lines = re.findall(r"^post_fork .*", server.log, re.MULTILINE)
        assert lines == [f"post_fork {server.pid} 1 1"] * 2


def test_a_zygote_ends_with_a_killed_server(place: Path) -> None:
    with supervised(place, "--preload", expect_exit=None) as server:
        everybody = children_of(server.pid)
        server.process.kill()
        until(lambda: not any(map(is_there, everybody)), "all have ended")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_the_application_is_imported_as_the_user_it_serves_as(open_place: Path) -> None:
    write(open_place, "one", ("time.sleep(BOOT_S)", "os.write(1, b'uid %d\\n' % os.getuid())"))
    with supervised(open_place, "--preload", "--user", "65534", "--group", "65534") as server:
        assert re.findall(r"^uid (\d+)", server.log, re.MULTILINE) == ["65534"]
        pids = children_of(server.pid)
        assert len(pids) == 3
        for pid in pids:
            assert re.search(r"^Uid:\s+65534\s+65534\s+65534\s+65534$", Path(f"/proc/{pid}/status").read_text(), re.M)


def test_what_was_imported_is_shared(place: Path) -> None:
    """Most of a worker's memory is nobody's own, also after it has served."""
    write(place, "one", ("import asyncio", "table = {key: f'{key:100}' for key in range(200_000)}\nimport asyncio"))
    with supervised(place, "--preload") as server:
        workers = answering(server)
        for pid in workers:
            size = dict(re.findall(r"^(\w+): +(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M))
            own = int(size["Private_Clean"]) + int(size["Private_Dirty"])
            assert own < 0.4 * int(size["Rss"]), size
