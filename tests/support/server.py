"""A Torana process for tests: started by the real command on a free port, stopped by its own pid, log kept.

Lives here: the process, its log, its end. Never here: what is said to it over a socket (``raw``, ``curl``, httpx).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LISTENING = re.compile(r"Listening on (https?)://(\[[0-9a-fA-F:.]+\]|[^:/\s\[]+):(\d+)")
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0
#: As much of a log as a failure shows.
LOG_CHARACTERS = 4000
#: What a pipe holds.
CHUNK_BYTES = 65536


class ServerFailed(AssertionError):
    """The server ended, or stayed silent, where a test needed it; holds the log."""


class Server:
    """One running server; make it with `running`."""

    def __init__(self, command: list[str], cwd: Path, environment: Mapping[str, str]) -> None:
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self.scheme = ""
        self.host = ""
        self.port = 0
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._collect, name="server-log", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id of the command (with one worker: the worker too)."""
        return self.process.pid

    @property
    def address(self) -> tuple[str, int]:
        """Where to connect."""
        return self.host.strip("[]"), self.port

    @property
    def origin(self) -> str:
        """The URL's beginning, without a slash at its end."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def log(self) -> str:
        """Everything written to standard output and standard error so far."""
        with self._news:
            return "\n".join(self._lines)

    def mark(self) -> int:
        """A place in the log, for `log_since` and `wait_for_log`."""
        with self._news:
            return len(self._lines)

    def log_since(self, mark: int) -> str:
        """The log from a mark on."""
        with self._news:
            return "\n".join(self._lines[mark:])

    def wait_for_log(self, text: str, timeout_s: float = 20.0, since: int = 0) -> str:
        """Wait until a line holds `text` and return that line; ServerFailed when it never comes."""

        def found() -> str | None:
            return next((line for line in self._lines[since:] if text in line), None)

        with self._news:
            self._news.wait_for(lambda: found() is not None or self._ended, timeout_s)
            line = found()
        if line is None:
            raise ServerFailed(f"no line with {text!r} in the log, which ends:\n{self.log[-LOG_CHARACTERS:]}")
        return line

    def wait_for_end(self, timeout_s: float = 10.0) -> None:
        """Wait until everything that was written is in the log; for a process that has ended."""
        self._reader.join(timeout_s)

    def wait_until_ready(self) -> None:
        """Wait for the line that names the address."""

        def found_line() -> re.Match[str] | None:
            return next(filter(None, map(LISTENING.search, self._lines)), None)

        with self._news:
            self._news.wait_for(lambda: found_line() is not None or self._ended, READY_TIMEOUT_S)
            found = found_line()
        if found is None:
            raise ServerFailed(f"no line that names an address:\n{self.log[-LOG_CHARACTERS:]}")
        self.scheme, self.host, self.port = found[1], found[2], int(found[3])

    def stop(self) -> int:
        """Ask for a graceful stop (SIGTERM) and return the exit code; ServerFailed when it does not end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            end = self.log[-LOG_CHARACTERS:]
            raise ServerFailed(f"still running {STOP_TIMEOUT_S} s after SIGTERM:\n{end}") from None
        self._reader.join(10.0)
        return code

    def kill(self) -> None:
        """End the process group this server leads, without asking."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(10.0)

    def _collect(self) -> None:
        assert self.process.stdout is not None
        rest = b""
        with self.process.stdout as stream:
            # A record of several lines is one write: all of it is in the log at once.
            while chunk := stream.read1(CHUNK_BYTES):
                whole, end, rest = (rest + chunk).rpartition(b"\n")
                with self._news:
                    self._lines += map(_text_of, (whole + end).splitlines())
                    self._news.notify_all()
        with self._news:
            self._lines += map(_text_of, rest.splitlines())
            self._ended = True
            self._news.notify_all()


def _text_of(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")


def command_for(app: str, *flags: str, app_dir: Path | None = None) -> list[str]:
    """The command line that serves `app` on a free port of the loopback."""
    place = [] if app_dir is None else ["--app-dir", str(app_dir)]
    bind = [] if "--bind" in flags else ["--bind", "127.0.0.1:0"]
    return [sys.executable, "-m", "torana", "run", app, *bind, *place, *flags]


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without TORANA_ settings, with the build under test importable."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("TORANA_", "WEB_CONC"))}
    environment.pop("PORT", None)
    spec = importlib.util.find_spec("torana")
    found = list(spec.submodule_search_locations or ()) if spec is not None else []
    source = Path(found[0]).parent if found else REPOSITORY / "src"
    paths = [str(source), *filter(None, [environment.get("PYTHONPATH")])]
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return environment | dict(extra or {})


@contextlib.contextmanager
def running(
    app: str,
    *flags: str,
    app_dir: Path | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    expect_exit: int | None = 0,
) -> Iterator[Server]:
    """Serve `app` while the block runs, then stop it and check the exit code (None: not checked)."""
    place = cwd or app_dir or REPOSITORY
    server = Server(command_for(app, *flags, app_dir=app_dir), place, child_environment(environment))
    try:
        server.wait_until_ready()
        yield server
        code = server.stop()
        assert expect_exit is None or code == expect_exit, f"exit code {code}:\n{server.log[-LOG_CHARACTERS:]}"
    finally:
        if server.process.poll() is None:
            server.kill()
