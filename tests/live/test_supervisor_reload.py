"""A rolling reload: new code under load without a failure, and code that does not work changes nothing."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.support.load import loading
from tests.support.supervised import answering, children_of, ready_workers, send, supervised, until, write_site

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_site(tmp_path)
    return tmp_path


@pytest.mark.threat("G-100", sent="HUP under load", verdict="no request fails")
def test_new_code_serves_and_no_request_fails(place: Path) -> None:
    with supervised(place, workers=3) as server:
        old = set(ready_workers(server))
        with loading(server.address, kept=6, fresh=6, pause_s=0.002) as load:
            for text in ("two", "three", "four"):
                write_site(place, ('TEXT = "one"', f'TEXT = "{text}"'))
                load.wait_for_answers(100)
                mark = send(server, signal.SIGHUP)
                server.wait_for_log("Reloaded", since=mark)
                load.wait_for_answers(200)
        tally = load.tally
        assert not tally.failures, tally.describe()
        assert set(tally.texts) == {"one", "two", "three", "four"}
        until(lambda: len(children_of(server.pid)) == 3, "the old workers have ended")
        assert not old & children_of(server.pid)
        until(lambda: answering(server) == children_of(server.pid), "all workers answer")
    assert "ERROR" not in server.log


def test_a_replacement_is_ready_before_the_old_worker_retires_and_one_at_a_time(place: Path) -> None:
    with supervised(place, workers=3) as server:
        mark = send(server, signal.SIGHUP)
        server.wait_for_log("Reloaded", since=mark)
    events = [
        word
        for line in server.log_since(mark).splitlines()
        for word in ("starts", "is ready after", "retires")
        if line.endswith(word) or f"{word}:" in line or f") {word} " in line
        if "(pid " in line
    ]
    assert events == ["starts", "is ready after", "retires"] * 3


@pytest.mark.threat("G-101", sent="HUP with code that cannot be imported or started", verdict="the old code serves on")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("async def app", "async def app("), "SyntaxError"),
        (("import asyncio", "import asyncio_nowhere, asyncio"), "asyncio_nowhere"),
        (("startup():\n    pass", 'startup():\n    raise RuntimeError("no database")'), "no database"),
        (("time.sleep(BOOT_S)", "os._exit(5)"), "exited with code 5"),
        (("time.sleep(BOOT_S)", "os.kill(os.getpid(), 11)"), "SIGSEGV"),
    ],
    ids=["syntax", "import", "lifespan", "exit", "crash"],
)
def test_code_that_does_not_work_changes_nothing(place: Path, change: tuple[str, str], said: str) -> None:
    with supervised(place, "--lifespan", "on", workers=2) as server:
        old = children_of(server.pid)
        with loading(server.address, kept=4, fresh=4, pause_s=0.002) as load:
            load.wait_for_answers(50)
            write_site(place, change)
            mark = send(server, signal.SIGHUP)
            server.wait_for_log("The reload is abandoned", since=mark)
            load.wait_for_answers(100)
            until(lambda: children_of(server.pid) == old, "the worker of the new code has ended")
        assert not load.tally.failures, load.tally.describe()
        assert set(load.tally.texts) == {"one"}
        assert said in server.log_since(mark)
        assert server.log_since(mark).count("Traceback") <= 1
        write_site(place, ('TEXT = "one"', 'TEXT = "mended"'))
        mark = send(server, signal.SIGHUP)
        server.wait_for_log("Reloaded", since=mark)
        with loading(server.address, kept=1, fresh=1) as load:
            load.wait_for_answers(10)
        assert set(load.tally.texts) == {"mended"}


@pytest.mark.threat("G-100", sent="HUP with a slow start", verdict="served by the old code until then")
def test_new_code_that_boots_for_ten_seconds_keeps_nobody_waiting(place: Path) -> None:
    with supervised(place, workers=1) as server:
        with loading(server.address, kept=4, fresh=4, pause_s=0.002) as load:
            load.wait_for_answers(50)
            write_site(place, ("time.sleep(BOOT_S)", "time.sleep(10)"), ('TEXT = "one"', 'TEXT = "two"'))
            mark = send(server, signal.SIGHUP)
            server.wait_for_log("is to be replaced", since=mark)
            before = len(children_of(server.pid))
            load.wait_for_answers(200)
            # The old code goes on while the new one boots.
            assert set(load.tally.texts) == {"one"} and before <= 2 and "Reloaded" not in server.log_since(mark)
            server.wait_for_log("Reloaded", since=mark)
            until(lambda: "two" in load.tally.texts, "the new code answers")
        assert not load.tally.failures, load.tally.describe()


def test_the_configuration_is_read_anew(place: Path) -> None:
    (place / "torana.toml").write_text("workers = 2\n")
    # Not ``supervised``: its flag is stronger than a file, and here the file must speak alone.
    from tests.support.server import running

    with running("site_one:app", cwd=place) as server:
        server.wait_for_log("All workers (2)")
        (place / "torana.toml").write_text("workers = 3\nserver_header = false\n")
        mark = send(server, signal.SIGHUP)
        server.wait_for_log("Reloaded", since=mark)
        until(lambda: len(children_of(server.pid)) == 3, "three workers")
        (place / "torana.toml").write_text("workers = none of it\n")
        mark = send(server, signal.SIGHUP)
        server.wait_for_log("abandoned, all stays as it is", since=mark)
        (place / "torana.toml").write_text('workers = "many"\n')
        mark = send(server, signal.SIGHUP)
        line = server.wait_for_log("abandoned, all stays as it is", since=mark)
        assert "workers" in line and "torana.toml" in line
        until(lambda: len(answering(server)) == 3, "all workers answer")


def test_another_address_takes_more_than_a_reload(place: Path) -> None:
    from tests.support.server import Server, child_environment, command_for

    (place / "torana.toml").write_text('workers = 2\nbind = "127.0.0.1:0"\n')
    server = Server([*command_for("site_one:app")[:-2]], place, child_environment())
    try:
        server.wait_until_ready()
        (place / "torana.toml").write_text('workers = 2\nbind = "127.0.0.1:1"\n')
        mark = send(server, signal.SIGHUP)
        server.wait_for_log("the old addresses stay", since=mark)
        server.wait_for_log("Reloaded", since=mark)
        until(lambda: len(answering(server)) == 2, "all workers answer")
        assert server.stop() == 0
    finally:
        server.kill()


@pytest.mark.threat("G-100", sent="many HUPs at once", verdict="answered as one reload")
def test_many_reloads_at_once(place: Path) -> None:
    with supervised(place, workers=2) as server:
        with loading(server.address, kept=4, fresh=4, pause_s=0.002) as load:
            load.wait_for_answers(20)
            mark = server.mark()
            for _ in range(30):
                send(server, signal.SIGHUP)
            write_site(place, ('TEXT = "one"', 'TEXT = "last"'))
            send(server, signal.SIGHUP)
            until(lambda: load.tally.texts["last"] > 100, "the last code serves")
            server.wait_for_log("Reloaded", since=mark)
        assert not load.tally.failures, load.tally.describe()
        until(lambda: len(children_of(server.pid)) == 2, "no worker is left over")
