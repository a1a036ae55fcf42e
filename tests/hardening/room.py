"""A room for the real command: a read-only file system with a /tmp, no privileges, and the profile of ``deploy/``.

By bubblewrap, which container runtimes for desktops use; where it cannot be, tests are skipped and say why. Lives here:
walls and doors. Never here: what is done in the room.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hardening.watcher import Watcher
from tests.support.server import REPOSITORY, Server, child_environment, command_for
from tests.support.supervised import children_of

PROFILE = REPOSITORY / "deploy" / "seccomp.json"
CONFINED = Path(__file__).with_name("confined.py")
NOBODY = 65534
#: Inside: where the control socket and logs are.
RUNTIME = "/tmp/run"
SITES = Path(__file__).with_name("sites")


class Confined(Server):
    """A server whose process is not the one we started, but that one's only child."""

    @property
    def pid(self) -> int:
        """The command's process."""
        found = children_of(self.process.pid)
        assert len(found) == 1, found
        return found.pop()

    def stop(self) -> int:
        """TERM to the command; the exit code, which bubblewrap passes on."""
        os.kill(self.pid, signal.SIGTERM)
        code = self.process.wait(60)
        self.wait_for_end()
        return code


@dataclass(frozen=True)
class Room:
    """A folder of files that are shown, and what was refused in the room."""

    folder: Path
    watcher: Watcher | None

    @contextlib.contextmanager
    def running(self, app: str, *flags: str, expect_exit: int | None = 0) -> Iterator[Confined]:
        """The real command in the room while the block runs."""
        command = command_for(app, *flags, app_dir=SITES)
        more = {"XDG_RUNTIME_DIR": RUNTIME, "SITE_FOLDER": str(self.folder)}
        server = Confined(self.wrapped(command), REPOSITORY, child_environment(more))
        try:
            server.wait_until_ready()
            yield server
            if server.process.poll() is None and children_of(server.process.pid):
                code = server.stop()
                assert expect_exit is None or code == expect_exit, server.log[-6000:]
        except AssertionError as error:
            error.add_note(f"The log ends:\n{server.log[-6000:]}")
            raise
        finally:
            server.kill()

    def wrapped(self, command: list[str]) -> list[str]:
        """A command line that runs another one in the room."""
        order: dict[str, object] = {"profile": str(PROFILE)}
        shown = [self.folder]
        if self.watcher is not None:
            order["watcher"] = str(self.watcher.path)
            shown.append(self.watcher.path.parent)
        if not by_user_namespace():
            order |= {"uid": NOBODY, "owned": [RUNTIME]}
        return [*walls(*shown), sys.executable, "-B", str(CONFINED), json.dumps(order), *command]


def walls(*shown: Path) -> list[str]:
    """The beginning of a command line: bubblewrap, everything read-only, an empty /tmp, these folders shown."""
    who = ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    if not by_user_namespace():
        who = [word for name in ("SETUID", "SETGID", "CHOWN") for word in ("--cap-add", f"CAP_{name}")]
    bound = [word for path in (*shown, *_hidden()) for word in (*_way_to(path), "--ro-bind", str(path), str(path))]
    return [
        "bwrap", *who, "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev",
        "--perms", "1777", "--tmpfs", "/tmp", "--tmpfs", "/run", *bound, "--perms", "0700", "--dir", RUNTIME,
    ]  # fmt: skip


def _way_to(path: Path) -> list[str]:
    """Folders above, which nobody must be able to pass; bubblewrap would make them for root alone."""
    above = [folder for folder in reversed(path.parents) if folder.is_relative_to("/tmp") and folder != Path("/tmp")]
    return [word for folder in above for word in ("--perms", "0755", "--dir", str(folder))]


def _hidden() -> list[Path]:
    """What the command needs and an empty /tmp would hide."""
    needed = {
        Path(sys.prefix),
        Path(sys.base_prefix),
        REPOSITORY,
        Path(child_environment()["PYTHONPATH"].split(":")[0]),
    }
    return sorted(path for path in needed if path.is_relative_to("/tmp"))


@functools.cache
def by_user_namespace() -> bool:
    """Root becomes nobody for good, if nobody may read what is needed; else a user namespace does it."""
    needed = {Path(sys.executable).resolve(), Path(sys.prefix), REPOSITORY, Path(child_environment()["PYTHONPATH"])}
    return os.geteuid() != 0 or not all(_is_open_to_all(path) for path in needed)


def _is_open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents) if folder.is_dir())


@functools.cache
def missing() -> str:
    """Why there can be no room here, or ""."""
    if sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"):
        return "seccomp profiles are for Linux on x86_64 and aarch64"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    tried = subprocess.run([*walls(), "true"], capture_output=True, text=True, timeout=30)
    if tried.returncode != 0:
        return f"bubblewrap cannot work here: {tried.stderr.strip()}"
    try:
        from tests.hardening.libseccomp import library

        library()
    except OSError as error:
        return f"libseccomp: {error}"
    return ""


@contextlib.contextmanager
def room(files: Path, *, is_watched: bool = True) -> Iterator[Room]:
    """A room where the folder ``files`` is shown; with ``is_watched`` every refused call is seen."""
    if reason := missing():
        pytest.skip(reason)
    for path in (files, *files.rglob("*")):
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))
    if not is_watched:
        yield Room(files, None)
        return
    with tempfile.TemporaryDirectory(prefix="w") as folder:
        Path(folder).chmod(0o755)
        with Watcher(Path(folder, "watch")) as watcher:
            yield Room(files, watcher)
