"""The file with the process id."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from torana.base.errors import ConfigError
from torana.process.pid_file import pid_file


def test_it_is_there_while_the_server_runs(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with pid_file(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()
    assert list(tmp_path.iterdir()) == []


def test_it_changes_hands(tmp_path: Path) -> None:
    """An heir writes the file when it leads; the one before is found beside it, and leaves the heir's file alone."""
    path, old_path = tmp_path / "pid", tmp_path / "pid.oldbin"
    with pid_file(str(path)) as old:
        with pid_file(str(path), heir_of=os.getpid()) as heir:
            old.step_back(heir.path)
            assert path.read_text() == old_path.read_text() == f"{os.getpid()}\n"
            heir.write()
        assert not path.exists()
        path.write_text(f"{os.getpid()}\n")
    assert path.exists() and not old_path.exists()


def test_an_heir_that_never_leads_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getppid()}\n")
    with pid_file(str(path), heir_of=os.getppid()):
        pass
    assert path.read_text() == f"{os.getppid()}\n"
    with pytest.raises(ConfigError, match="belongs to process"):
        with pid_file(str(path), heir_of=1):
            pass


def test_an_heir_with_another_file(tmp_path: Path) -> None:
    with pid_file(str(tmp_path / "pid")) as old:
        old.step_back(str(tmp_path / "other"))
    assert list(tmp_path.iterdir()) == []


def test_none_is_no_file() -> None:
    with pid_file(None) as file:
        file.write()
        file.step_back(None)


def test_one_that_changed_hands_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with pid_file(str(path)):
        path.write_text("1\n")
    assert path.read_text() == "1\n"


@pytest.mark.parametrize("left", ["", "rubbish", "-1", "0", "99999999999999999999", "٣"])
def test_a_stale_file_is_replaced(tmp_path: Path, left: str) -> None:
    path = tmp_path / "pid"
    path.write_text(left)
    with pid_file(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_file_of_an_ended_process_is_replaced(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    path = tmp_path / "pid"
    path.write_text(str(ended.pid))
    with pid_file(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"


def test_another_running_server_is_not_robbed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(str(os.getppid()))
    with pytest.raises(ConfigError, match="which is running"):
        with pid_file(str(path)):
            pass
    assert path.read_text() == str(os.getppid())


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        with pid_file(str(tmp_path / "no" / "pid")):
            pass


def test_another_users_link_is_not_followed(tmp_path: Path) -> None:
    """In a directory that others may write to: what lies where we write is replaced, not written through."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f"pid.{os.getpid()}").symlink_to(victim)
    with pid_file(str(tmp_path / "pid")):
        assert (tmp_path / "pid").read_text() == f"{os.getpid()}\n"
        assert not (tmp_path / "pid").is_symlink()
    assert victim.read_text() == "precious"


def test_nobody_else_may_write_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with pid_file(str(tmp_path / "pid")):
            assert (tmp_path / "pid").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


def test_a_fifo_in_its_place_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pid")
    with pid_file(str(tmp_path / "pid")):
        assert (tmp_path / "pid").read_text() == f"{os.getpid()}\n"
