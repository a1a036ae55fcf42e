"""Where a server and a command meet: both sides find the same path, two servers never do, and nobody can slip in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from torana.process import rendezvous
from torana.process.options import RunOptions
from torana.process.rendezvous import file_name, meeting_for, paths_for, sockets_found


def options(
    bind: str = "127.0.0.1:8000", runtime_dir: str = "", pid: str | None = None, said: str = "auto"
) -> RunOptions:
    whole = RunOptions()
    listen = replace(whole.net.listen, binds=(bind,))
    process = replace(whole.process, runtime_dir=runtime_dir, pid_file=pid, control_socket=said)
    return replace(whole, net=replace(whole.net, listen=listen), process=process)


@pytest.fixture
def own(tmp_path: Path) -> str:
    """A run-time directory as it should be."""
    directory = tmp_path / "own"
    directory.mkdir(0o700)
    return str(directory)


@pytest.fixture
def system() -> Iterator[str]:
    """A place for the system's directory, where nothing is yet; the path of a unix socket has to be short."""
    with tempfile.TemporaryDirectory(prefix="torana") as folder:
        yield os.path.join(folder, "system")


@pytest.mark.parametrize(
    ("bind", "name"),
    [
        ("127.0.0.1:8000", "torana-127.0.0.1-8000.ctl"),
        ("8000", "torana-127.0.0.1-8000.ctl"),
        (":8000", "torana-0.0.0.0-8000.ctl"),
        ("example.org:80", "torana-example.org-80.ctl"),
        ("[::1]:8000", "torana-__1-8000.ctl"),
    ],
)
def test_the_name_is_the_address(bind: str, name: str) -> None:
    assert file_name(options(bind)) == name
    assert file_name(options(bind), ["http://9.9.9.9:9"]) == name, "what was bound does not matter where it was said"


def test_two_servers_have_two_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    long = "a" * 60 + "."
    binds = ["127.0.0.1:1", "127.0.0.1:2", "[::1]:1", "unix:/run/a.sock", "unix:/srv/a.sock", "unix:a.sock"]
    binds += [f"{long}{end}.example:80" for end in ("one", "two")] + ["unix:@a.sock", "unix:/run/a-sock"]
    names = [file_name(options(bind)) for bind in binds]
    assert len(set(names)) == len(names)
    assert all("/" not in name and len(name) < 80 for name in names)
    assert file_name(options("unix:a.sock")) == file_name(options(f"unix:{tmp_path}/a.sock"))


def test_without_a_fixed_address_the_pid_file_names_it_and_then_what_was_bound() -> None:
    one, other = (file_name(options("127.0.0.1:0", pid=f"/run/{name}/web.pid")) for name in "ab")
    assert one != other and one.startswith("torana-web.pid-")
    assert file_name(options("fd:3"), ["http://127.0.0.1:4567"]) == "torana-127.0.0.1-4567.ctl"
    assert file_name(options("fd:3"), ["unix:/run/x"]) == "torana-unix--run-x.ctl"
    assert file_name(options("fd:3")) == f"torana-{os.getpid()}.ctl"


def test_server_and_command_meet(own: str, system: str) -> None:
    said = options(runtime_dir=own)
    meeting = meeting_for(said, ["http://127.0.0.1:8000"], system)
    assert meeting.path == f"{own}/torana-127.0.0.1-8000.ctl" == paths_for(said, system)[0]


def test_the_directory_of_the_system_is_second_choice(system: str) -> None:
    assert meeting_for(options(), (), system).path is None
    rendezvous.prepare(system)
    if os.geteuid() != 0:
        assert not os.path.exists(system)
        os.mkdir(system, 0o755)
    meeting = meeting_for(options(runtime_dir="/nowhere/at/all"), (), system)
    assert meeting.path == f"{system}/torana-127.0.0.1-8000.ctl"
    assert meeting.path in paths_for(options(runtime_dir="/nowhere/at/all"), system)
    assert os.stat(system).st_mode & 0o022 == 0


def test_a_directory_that_others_may_write_to_is_no_place(own: str, system: str) -> None:
    for mode in (0o777, 0o770, 0o1777):
        os.chmod(own, mode)
        meeting = meeting_for(options(runtime_dir=own), (), system)
        assert meeting.path is None and f"others may write to {own}" in meeting.why
    os.chmod(own, 0o700)
    assert meeting_for(options(runtime_dir=own), (), system).path is not None


def test_a_directory_of_somebody_else_is_no_place(own: str, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert "belongs to another user" in meeting_for(options(runtime_dir=own), (), system).why


def test_a_file_and_a_relative_path_are_no_place(tmp_path: Path, system: str) -> None:
    (tmp_path / "file").write_text("")
    assert "is no directory" in meeting_for(options(runtime_dir=str(tmp_path / "file")), (), system).why
    assert meeting_for(options(runtime_dir="."), (), system).path is None


def test_a_path_too_long_for_the_kernel_is_said(tmp_path: Path, system: str) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir(0o700)
    assert "longer than the 103 bytes" in meeting_for(options(runtime_dir=str(deep)), (), system).why
    meeting = meeting_for(options(said=str(deep / "x")), (), system)
    assert meeting.path is None and meeting.is_wish


def test_a_path_that_was_said_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert meeting_for(options(said="x.ctl"), (), system).path == str(tmp_path / "x.ctl")
    assert paths_for(options(said="x.ctl"), system) == [str(tmp_path / "x.ctl")]
    assert meeting_for(options(said="off"), (), system).path is None
    assert paths_for(options(said="off"), system) == []


def test_looking_around_finds_sockets_by_their_names_only(own: str, system: str) -> None:
    for name in ("torana-a.ctl", "torana-b.ctl", "torana-c", "other.ctl"):
        Path(own, name).write_text("")
    assert sockets_found(options(runtime_dir=own), system) == [f"{own}/torana-a.ctl", f"{own}/torana-b.ctl"]
    assert sockets_found(options(runtime_dir="/nowhere"), system) == []
