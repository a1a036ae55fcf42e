"""SIGUSR2 with the real command: another program takes over under load, and nobody notices."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from tests.support.load import Load, loading
from tests.support.server import Server, child_environment, command_for, running
from tests.support.supervised import answering, children_of, is_there, ready_workers, send, until, write_site

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PACKAGES = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
FLAGS = ("--no-access-log", "--log-level", "debug")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_site(tmp_path)
    return tmp_path


@contextlib.contextmanager
def serving(
    place: Path,
    *flags: str,
    workers: int = 2,
    command: list[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A server whose program may be replaced while the block runs; at its end nothing of it may be left."""
    count = ("--workers", str(workers)) if workers else ()
    command = command or command_for("site_one:app", *count, *FLAGS, *flags)
    server = Server(command, place, environment or child_environment())
    try:
        server.wait_until_ready()
        server.wait_for_log("All workers")
        yield server
        server.wait_for_end()  # whoever lives has the log open
        assert "Traceback" not in server.log
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.process.wait()


def replaced(server: Server, pid: int = 0) -> int:
    """Replace the program of a process (0: the first); the process that has taken over."""
    mark = server.mark()
    os.kill(pid or server.pid, signal.SIGUSR2)
    return int(re.findall(r"\(pid (\d+)\)", server.wait_for_log("has taken over from process", 60.0, mark))[0])


def started(server: Server, since: int) -> int:
    """The process of a new program that was started."""
    return int(re.findall(r"process (\d+) executes", server.wait_for_log("is to be replaced", since=since))[0])


def end(pid: int) -> None:
    """Stop a program that is no child of ours, and wait for its end."""
    fd = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGTERM)
        assert select.select([fd], [], [], 30.0)[0], f"process {pid} does not end"
    finally:
        os.close(fd)


def check(load: Load) -> None:
    tally = load.stop()
    assert not tally.failures, tally.describe()


@pytest.mark.threat("G-100", sent="USR2 under load", verdict="no request is lost")
def test_no_request_is_lost(place: Path) -> None:
    with serving(place, "--pid", f"{place}/pid") as server:
        old_workers = set(ready_workers(server))
        with loading(server.address, kept=64, fresh=64) as load:
            load.wait_for_answers(500)
            new = replaced(server)
            assert server.process.wait(30) == 0
            load.wait_for_answers(500)
            assert not any(map(is_there, old_workers))
            until(lambda: set(load.tally.by_worker) - old_workers == children_of(new), "both new workers answer")
            check(load)
        until(lambda: (place / "pid").read_text() == f"{new}\n", "the pid file")
        end(new)
        assert sorted(path.name for path in place.iterdir()) == ["site_one.py"]


def test_preloaded_workers(place: Path) -> None:
    with serving(place, "--preload") as server, loading(server.address, kept=16, fresh=16) as load:
        load.wait_for_answers(200)
        new = replaced(server)
        assert server.process.wait(30) == 0
        load.wait_for_answers(200)
        check(load)
        end(new)


def test_twice_in_a_row(place: Path) -> None:
    with serving(place, workers=4) as server, loading(server.address, kept=32, fresh=32) as load:
        load.wait_for_answers(300)
        first = replaced(server)
        second = replaced(server, first)
        load.wait_for_answers(300)
        until(lambda: not is_there(first), "the end of the first new program")
        assert server.process.wait(30) == 0
        check(load)
        end(second)


@pytest.mark.threat("G-100", sent="USR2 while a stream runs", verdict="finished by the old program")
def test_a_stream_is_finished_by_the_old_program(place: Path) -> None:
    with serving(place, "--pid", f"{place}/pid", workers=1) as server:
        with socket.create_connection(server.address) as stream:
            stream.sendall(b"GET /slow8 HTTP/1.1\r\nHost: x\r\n\r\n")
            (worker,) = children_of(server.pid)
            new = replaced(server)
            assert (place / "pid.oldbin").read_text() == f"{server.pid}\n"
            until(lambda: answering(server) <= children_of(new), "the new program answers")
            assert is_there(worker)
            stream.settimeout(30)
            assert stream.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert server.process.wait(30) == 0
        assert not (place / "pid.oldbin").exists()
        end(new)


def test_a_unix_socket(place: Path) -> None:
    path = f"{place}/socket"
    with serving(place, "--bind", "127.0.0.1:0", "--bind", f"unix:{path}") as server:
        before = os.stat(path).st_ino
        with loading(path, kept=32, fresh=32) as load:
            load.wait_for_answers(200)
            new = replaced(server)
            assert server.process.wait(30) == 0
            load.wait_for_answers(200)
            check(load)
        assert os.stat(path).st_ino == before
        end(new)
        assert not os.path.exists(path)


def test_an_inherited_descriptor(place: Path) -> None:
    code = (
        "import os, socket, sys; sock = socket.create_server(('127.0.0.1', 0)); sock.set_inheritable(True);"
        "words = [word.replace('FD', str(sock.fileno())) for word in sys.argv[1:]]; os.execv(words[0], words)"
    )
    command = [sys.executable, "-c", code, *command_for("site_one:app", "--bind", "fd:FD", "--workers", "2", *FLAGS)]
    with serving(place, command=command) as server, loading(server.address) as load:
        load.wait_for_answers(100)
        new = replaced(server)
        assert server.process.wait(30) == 0
        load.wait_for_answers(100)
        check(load)
        end(new)


# Another configuration, another program


def test_fewer_workers_and_other_addresses(place: Path) -> None:
    """The new program has its own configuration; what waits in the queues of the old one's workers is answered."""

    def configure(workers: int, path: str) -> None:
        bind = f'["127.0.0.1:0", "unix:{place}/{path}"]'
        (place / "torana.toml").write_text(f'app = "site_one:app"\nworkers = {workers}\nbind = {bind}\n')

    configure(4, "a")
    command = [word for word in command_for("x", *FLAGS) if word not in ("x", "--bind", "127.0.0.1:0")]
    with serving(place, command=command) as server, loading(server.address, kept=32, fresh=32) as load:
        configure(1, "b")
        load.wait_for_answers(300)
        new = replaced(server)
        assert server.process.wait(30) == 0
        load.wait_for_answers(1000)
        check(load)
        assert len(children_of(new)) == 1
        assert not (place / "a").exists() and (place / "b").exists()
        end(new)
    assert not (place / "b").exists()


def make_venv(python: str, path: Path, packages: list[str]) -> Path:
    """A virtual environment that finds torana and what it needs, and has its command; returns the command."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(path)], check=True)
    (site,) = path.glob("lib/python*/site-packages")
    (site / "torana.pth").write_text("\n".join(packages))
    script = path / "bin" / "torana"
    script.write_text(f"#!{path}/bin/python\nfrom torana.cli.main import main\nmain()\n")
    script.chmod(0o755)
    return script


def source() -> str:
    environment = child_environment()
    return environment["PYTHONPATH"].split(os.pathsep)[0]


def without_path() -> dict[str, str]:
    """An environment in which only a virtual environment says where packages are."""
    environment = child_environment()
    del environment["PYTHONPATH"]
    return environment


def check_move(place: Path, python: str, packages: list[str]) -> None:
    """Move a server from a virtual environment of ours to one of ``python``, under load."""
    write_site(place, ('TEXT = "one"', 'TEXT = f"{sys.prefix} {sys.version_info[1]}"'))
    make_venv(sys.executable, place / "one", [source(), *PACKAGES])
    make_venv(python, place / "two", packages)
    (place / "current").symlink_to("one")
    flags = ["site_one:app", "--bind", "127.0.0.1:0", "--workers", "2", *FLAGS]
    command = [f"{place}/current/bin/torana", *flags]
    with serving(place, command=command, environment=without_path()) as server:
        with loading(server.address, kept=64, fresh=64) as load:
            load.wait_for_answers(300)
            (place / "next").symlink_to("two")
            (place / "next").rename(place / "current")
            new = replaced(server)
            assert server.process.wait(30) == 0
            load.wait_for_answers(300)
            check(load)
        prefixes = {Path(text.split()[0]).name for text in load.tally.texts}
        assert prefixes == {"one", "two"}, load.tally.texts
        end(new)


def test_into_another_virtual_environment(place: Path) -> None:
    check_move(place, sys.executable, [source(), *PACKAGES])


def other_python() -> tuple[str, list[str]] | None:
    """Another version of Python that has what torana needs, and where it has it; TEST_OTHER_PYTHON names one."""
    code = (
        "import sys, click, msgspec, os; print(sys.version_info[1], os.path.dirname(os.path.dirname(msgspec.__file__)))"
    )
    names = [os.environ.get("TEST_OTHER_PYTHON", ""), *(f"python3.{minor}" for minor in range(11, 16))]
    for name in filter(None, names):
        python = shutil.which(name)
        if python is None:
            continue
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, env=without_path())
        minor, _, packages = done.stdout.strip().partition(" ")
        if done.returncode == 0 and int(minor) not in (sys.version_info[1], 10):
            return python, [packages, source()]
    return None


def test_into_another_python(place: Path) -> None:
    other = other_python()
    if other is None:
        pytest.skip("no other Python with click and msgspec is in PATH")
    check_move(place, *other)


def test_the_name_of_the_interpreter_leads_to_another(place: Path) -> None:
    """``python -m torana`` looks ``python`` up again."""
    (place / "bin").mkdir()
    (place / "bin" / "python").symlink_to(sys.executable)
    environment = child_environment() | {"PATH": f"{place}/bin:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = os.pathsep.join([source(), *PACKAGES])  # a link leads out of a virtual environment
    command = ["python", *command_for("site_one:app", "--workers", "1", *FLAGS)[1:]]
    popen = ["/bin/sh", "-c", 'exec "$@"', "sh", *command]
    with serving(place, command=popen, environment=environment) as server:
        (place / "bin" / "python").unlink()
        (place / "bin" / "python").write_text(f'#!/bin/sh\nMOVED=yes exec {sys.executable} "$@"\n')
        (place / "bin" / "python").chmod(0o755)
        new = replaced(server)
        assert b"MOVED=yes" in Path(f"/proc/{new}/environ").read_bytes()
        until(lambda: answering(server) == children_of(new), "the new program answers")
        end(new)


# What goes wrong


@pytest.mark.threat("G-101", sent="USR2 into a program that does not start", verdict="the old one serves on")
@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('TEXT = "one"', "TEXT = (", 3),
        ("import asyncio", "import no_such_module, asyncio", 3),
        ("    pass\n", "    raise RuntimeError('no')\n", 3),
        ('TEXT = "one"', "os._exit(9)", 3),
    ],
    ids=["syntax", "import", "lifespan", "crash"],
)
def test_a_broken_program_changes_nothing(place: Path, old: str, new: str, code: int) -> None:
    flags = ("--workers", "2", "--lifespan", "on", *FLAGS)
    server = Server(command_for("site_one:app", *flags), place, child_environment())
    try:
        server.wait_until_ready()
        with loading(server.address, kept=32, fresh=32) as load:
            load.wait_for_answers(100)
            write_site(place, (old, new))
            mark = send(server, signal.SIGUSR2)
            line = server.wait_for_log("this one goes on serving", 60.0, mark)
            assert f"exited with code {code}" in line
            load.wait_for_answers(200)
            write_site(place, ('TEXT = "one"', 'TEXT = "mended"'))
            program = replaced(server)
            load.wait_for_answers(200)
            check(load)
        assert set(load.tally.texts) == {"one", "mended"}
        assert server.process.wait(30) == 0
        end(program)
        server.wait_for_end()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.process.wait()


def test_a_program_that_is_gone(place: Path) -> None:
    make_venv(sys.executable, place / "one", [source(), *PACKAGES])
    command = [f"{place}/one/bin/torana", "site_one:app", "--bind", "127.0.0.1:0", "--workers", "1", *FLAGS]
    with serving(place, command=command, environment=without_path()) as server:
        (place / "one" / "bin" / "torana").rename(place / "moved")
        mark = send(server, signal.SIGUSR2)
        assert "exited with code 127" in server.wait_for_log("this one goes on serving", since=mark)
        assert httpx.get(f"{server.origin}/pid").status_code == 200
        end(server.pid)


def boot_slowly(place: Path) -> Path:
    """Have the next program wait at its start until the file that is returned is there."""
    gate = place / "gate"
    wait = f'os.write(1, b"boots\\n")\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)'
    write_site(place, ("time.sleep(BOOT_S)", wait))
    return gate


def test_term_to_the_new_program_calls_it_off(place: Path) -> None:
    with serving(place) as server, loading(server.address) as load:
        boot_slowly(place)
        mark = send(server, signal.SIGUSR2)
        new = started(server, mark)
        # Not while they import: an exception may get lost there, and they end later.
        until(lambda: server.log_since(mark).count("boots") == 2, "its workers load")
        os.kill(new, signal.SIGTERM)
        server.wait_for_log("this one goes on serving", since=mark)
        load.wait_for_answers(100)
        check(load)
        end(server.pid)


def test_term_to_the_old_program_leaves_the_new_one(place: Path) -> None:
    """As with nginx and gunicorn; who comes while nobody serves waits in the queue."""
    path = f"{place}/socket"
    flags = ("--bind", "127.0.0.1:0", "--bind", f"unix:{path}", "--pid", f"{place}/pid")
    with serving(place, *flags) as server, loading(server.address, kept=8, fresh=32) as load:
        load.wait_for_answers(100)
        gate = boot_slowly(place)
        mark = send(server, signal.SIGUSR2)
        new = started(server, mark)
        until(lambda: len(children_of(new)) == 2, "its workers")
        os.kill(server.pid, signal.SIGTERM)
        assert server.process.wait(30) == 0
        gate.touch()
        server.wait_for_log("has taken over", since=mark)
        load.wait_for_answers(100)
        check(load)
        until(lambda: (place / "pid").exists() and (place / "pid").read_text() == f"{new}\n", "the pid file")
        assert os.path.exists(path)
        end(new)
        assert not os.path.exists(path)


def test_ctrl_c_ends_both(place: Path) -> None:
    with serving(place) as server:
        boot_slowly(place)
        mark = send(server, signal.SIGUSR2)
        new = started(server, mark)
        # Not while they import: an exception may get lost there, and they end later.
        until(lambda: server.log_since(mark).count("boots") == 2, "its workers load")
        os.kill(server.pid, signal.SIGINT)
        assert server.process.wait(30) == 0
        assert not is_there(new)


def test_one_at_a_time_and_nothing_else_meanwhile(place: Path) -> None:
    with serving(place) as server:
        gate = boot_slowly(place)
        mark = send(server, signal.SIGUSR2)
        new = started(server, mark)
        send(server, signal.SIGUSR2)
        server.wait_for_log(f"SIGUSR2 is ignored: process {new} is already about to take over", since=mark)
        send(server, signal.SIGHUP)
        server.wait_for_log(f"No reload now: process {new} is about to take over", since=mark)
        send(server, signal.SIGTTIN)
        server.wait_for_log(f"The number of workers stays: process {new}", since=mark)
        gate.touch()
        server.wait_for_log("has taken over", since=mark)
        assert server.process.wait(30) == 0
        end(new)


def test_the_old_supervisor_is_killed(place: Path) -> None:
    """Then there is nobody to wait for: the new program is the server."""
    with serving(place, "--pid", f"{place}/pid") as server:
        gate = boot_slowly(place)
        mark = send(server, signal.SIGUSR2)
        new = started(server, mark)
        until(lambda: len(children_of(new)) == 2, "its workers")
        os.kill(server.pid, signal.SIGKILL)
        server.wait_for_log("has taken over", since=mark)
        gate.touch()
        server.wait_for_log("All workers", since=mark)
        until(lambda: answering(server) == children_of(new), "its workers answer")
        end(new)


# Companions


def test_one_scheduler_at_any_time(place: Path) -> None:
    """The service of the new program begins when that of the old one is over."""
    code = (
        "import os, signal, sys, time; file = open('service', 'a', buffering=1);"
        "signal.signal(15, lambda *_: (time.sleep(0.3), print('ends', file=file), os._exit(0)));"
        "print('begins', file=file); signal.pause()"
    )
    hooks = '[hooks]\npre_exec = "hook:note"\nwhen_ready = "hook:note"\n'
    service = f'[[service]]\nname = "clock"\ncommand = [{sys.executable!r}, "-c", {code!r}]\n'
    (place / "torana.toml").write_text(hooks + service)
    (place / "hook.py").write_text("def note(info):\n    print(info.event, file=open('events', 'a'))\n")

    def lines(name: str) -> list[str]:
        return (place / name).read_text().split() if (place / name).exists() else []

    with serving(place) as server:
        until(lambda: lines("service") == ["begins"] and lines("events") == ["when_ready"], "the service and the hook")
        new = replaced(server)
        until(lambda: lines("service") == ["begins", "ends", "begins"], "the other service")
        assert server.process.wait(30) == 0
        until(lambda: lines("events") == ["when_ready", "pre_exec", "when_ready"], "the hooks")
        end(new)
    assert lines("service") == ["begins", "ends"] * 2


def test_systemd_hears_of_the_new_main_process(place: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        address = f"\0torana-test-{os.getpid()}"
        listening.bind(address)
        listening.settimeout(20)
        environment = child_environment() | {"NOTIFY_SOCKET": "@" + address[1:], "WATCHDOG_USEC": "60000000"}
        heard: list[str] = []

        def wait_for(line: str) -> None:
            while line not in heard:
                heard.extend(listening.recv(4096).decode().split("\n"))

        with serving(place, environment=environment) as server:
            wait_for("READY=1")
            wait_for("WATCHDOG=1")
            heard.clear()
            new = replaced(server)
            wait_for(f"MAINPID={new}")
            assert server.process.wait(30) == 0
            wait_for("READY=1")
            wait_for("WATCHDOG=1")
            end(new)
            wait_for("STOPPING=1")
        words = [line.partition("=")[0] for line in heard if not line.startswith("STATUS")]
        assert words == ["MAINPID", "READY", "WATCHDOG", "STOPPING"], heard


def test_the_control_socket_belongs_to_the_new_program(place: Path) -> None:
    control = f"{place}/ctl"
    with serving(place, "--control-socket", control) as server:
        new = replaced(server)
        assert server.process.wait(30) == 0
        base = [sys.executable, "-m", "torana"]
        environment = child_environment() | {"TORANA_CONTROL_SOCKET": control}
        until(lambda: os.path.exists(control), "the control socket")
        done = subprocess.run(
            [*base, "status", "--json"], env=environment, cwd=place, capture_output=True, text=True, check=False
        )
        assert f'"pid":{new}' in done.stdout.replace(" ", ""), done
        done = subprocess.run([*base, "stop"], env=environment, cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        until(lambda: not is_there(new), "the end of the new program")
    assert not os.path.exists(control)


# Process 1


def contained() -> bool:
    """Whether we may make processes that are number 1 of a room of their own."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False).returncode == 0


def test_process_one_stays_until_the_last_program_ends(place: Path) -> None:
    if not contained():
        pytest.skip("unshare --pid is not permitted here")
    command = ["unshare", "--pid", "--fork", "--kill-child", *command_for("site_one:app", "--workers", "2", *FLAGS)]
    with serving(place, command=command) as server:
        (first,) = children_of(server.pid)

        def is_one_other() -> bool:
            now = children_of(first)
            return len(now) == 1 and not now & before

        with loading(server.address, kept=32, fresh=32) as load:
            load.wait_for_answers(200)
            for count in (1, 2):
                mark, before = server.mark(), children_of(first)
                os.kill(first, signal.SIGUSR2)  # everybody takes process 1 for the server
                server.wait_for_log("has taken over", 60.0, mark)
                load.wait_for_answers(200)
                # Process 1 and the program that serves, whose parent is process 1 when those between have ended.
                until(is_one_other, f"one program after {count}")
            (program,) = children_of(first)
            mark = server.mark()
            os.kill(first, signal.SIGHUP)
            server.wait_for_log("Reloaded", since=mark)
            load.wait_for_answers(100)
            check(load)
        os.kill(first, signal.SIGTERM)
        assert server.process.wait(30) == 0
        assert not is_there(program)


def test_process_one_ends_with_the_exit_code_of_the_program(place: Path) -> None:
    if not contained():
        pytest.skip("unshare --pid is not permitted here")
    command = ["unshare", "--pid", "--fork", "--kill-child", *command_for("site_one:app", "--workers", "1", *FLAGS)]
    with serving(place, command=command) as server:
        (first,) = children_of(server.pid)
        os.kill(first, signal.SIGUSR2)
        server.wait_for_log("has taken over")
        until(lambda: len(children_of(first)) == 1, "the end of our own worker")
        (program,) = children_of(first)
        os.kill(program, signal.SIGKILL)
        assert server.process.wait(30) == 128 + signal.SIGKILL


def test_without_a_supervisor_the_signal_is_harmless(place: Path) -> None:
    with running("site_one:app", cwd=place) as server:
        mark = send(server, signal.SIGUSR2)
        server.wait_for_log("SIGUSR2 is ignored", since=mark)
        assert httpx.get(f"{server.origin}/pid").text == str(server.pid)
