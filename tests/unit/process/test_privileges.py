"""Becoming another user, done for real in a forked child where these tests run as root."""

from __future__ import annotations

import os
import pwd
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from torana.base.errors import ConfigError
from torana.process import privileges
from torana.process.privileges import Identity, become, lookup

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def _in_child(run: Callable[[], str]) -> str:
    """What a function returns or raises in a forked child."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = run()
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writing, text.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        said = file.read().decode()
    os.waitpid(pid, 0)
    return said


def _status() -> str:
    with open("/proc/self/status") as file:
        return file.read()


@as_root
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_user_brings_its_groups_and_there_is_no_way_back() -> None:
    nobody = pwd.getpwnam("nobody")

    def run() -> str:
        os.setgroups([0, 1, 2])
        become("nobody", None)
        for attempt in (lambda: os.setuid(0), lambda: os.seteuid(0), lambda: os.setgid(0), lambda: os.setgroups([0])):
            try:
                attempt()
            except PermissionError:
                continue
            return "came back"
        return _status()

    status = _in_child(run)
    assert re.search(rf"^Uid:(\s+{nobody.pw_uid}){{4}}$", status, re.MULTILINE), status
    assert re.search(rf"^Gid:(\s+{nobody.pw_gid}){{4}}$", status, re.MULTILINE), status
    groups = re.search(r"^Groups:(.*)$", status, re.MULTILINE)
    assert groups is not None
    assert {int(each) for each in groups[1].split()} == set(os.getgrouplist("nobody", nobody.pw_gid))
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE), status


@as_root
def test_numbers_need_no_entry_when_both_are_given() -> None:
    assert lookup("54321", "54322") == Identity(54321, 54322, (54322,))

    def run() -> str:
        become("54321", "54322")
        return f"{os.getresuid()} {os.getresgid()} {os.getgroups()}"

    assert _in_child(run) == "(54321, 54321, 54321) (54322, 54322, 54322) [54322]"


@as_root
def test_a_group_alone_replaces_all_groups() -> None:
    def run() -> str:
        os.setgroups([0, 1, 2])
        become(None, "54322")
        return f"{os.getuid()} {os.getresgid()} {os.getgroups()}"

    assert _in_child(run) == "0 (54322, 54322, 54322) [54322]"


@as_root
def test_what_was_open_before_stays_usable(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch(mode=0o600)

    def run() -> str:
        with open(path, "a") as file:
            become("54321", "54322")
            file.write("still here")
        try:
            path.open("a")
        except PermissionError:
            return "not anew"
        return "opened anew"

    assert _in_child(run) == "not anew"
    assert path.read_text() == "still here"


@as_root
@pytest.mark.parametrize("call", ["setgroups", "setgid", "setuid"])
def test_a_step_that_fails_is_fatal(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, call, refuse)

    def run() -> str:
        become("54321", "54322")
        return "went on"

    assert _in_child(run).startswith("ConfigError: user: cannot become user 54321, group 54322")


@as_root
@pytest.mark.parametrize("call", ["setgroups", "setgid", "setuid"])
def test_a_step_that_only_pretends_is_noticed(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    set_groups = os.setgroups
    monkeypatch.setattr(os, call, lambda _: None)

    def run() -> str:
        set_groups([7])
        become("54321", "54322")
        return "went on"

    assert _in_child(run).startswith("ConfigError: user: still not user 54321")


@as_root
def test_the_order_is_groups_group_user(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    for name in ("setgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, lambda _, name=name: called.append(name))
    monkeypatch.setattr(privileges, "_verify", lambda _: None)
    become("54321", "54322")
    assert called == ["setgroups", "setgid", "setuid"]


@as_root
def test_without_the_right_it_is_refused_at_the_start() -> None:
    def run() -> str:
        become("54321", "54322")
        lookup("54320", "54320")
        return "allowed"

    said = _in_child(run)
    assert said.startswith("ConfigError: user: this process (user 54321) may not become user 54320"), said


@as_root
def test_who_it_is_already_needs_no_right() -> None:
    def run() -> str:
        become("54321", "54322")
        become("54321", "54322")
        return "twice"

    assert _in_child(run) == "twice"


def test_neither_is_nobody() -> None:
    assert lookup(None, None) is None
    become(None, None)


@pytest.mark.parametrize(
    ("user", "group", "sentence"),
    [
        ("no-such-user", None, "user: there is no user 'no-such-user' on this system"),
        (None, "no-such-group", "group: there is no group 'no-such-group' on this system"),
        ("54321", None, "user: user 54321 is unknown to this system, so its group must be set too"),
        ("4294967295", "1", "larger than any id"),
        ("9" * 5000, "1", "larger than any id"),
        ("", None, "user: there is no user ''"),
        ("a\0b", None, "there is no user"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(user: str | None, group: str | None, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        lookup(user, group)
    assert sentence in str(caught.value)
