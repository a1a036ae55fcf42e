"""Which files are watched, and that a change is seen."""

from __future__ import annotations

import os
import select
import threading
from pathlib import Path
from typing import Any

import pytest

from torana.process import watch
from torana.process.options import ReloadOptions
from torana.process.watch import Watcher


@pytest.fixture
def watcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watcher:
    """One that looks at files itself, whatever is installed."""
    monkeypatch.setattr(watch, "_has_watchfiles", lambda: False)
    return Watcher(ReloadOptions(dirs=(str(tmp_path),)))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("main.py", True),
        ("deep/er/main.py", True),
        ("main.txt", False),
        ("main.pyc", False),
        (".git/hook.py", False),
        (".venv/lib/x.py", False),
        ("node_modules/x.py", False),
        ("a/__pycache__/x.py", False),
        (".#main.py", False),
    ],
)
def test_what_is_watched(watcher: Watcher, tmp_path: Path, path: str, expected: bool) -> None:
    target = tmp_path / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("")
    assert watcher.is_watched(str(target)) is expected
    assert (str(target) in watcher.look()) is expected
    watcher.close()


def test_other_directories_are_not_watched(watcher: Watcher, tmp_path: Path) -> None:
    assert not watcher.is_watched(str(tmp_path) + "other/main.py")
    watcher.close()


def test_links_that_lead_in_circles_end(watcher: Watcher, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.py").write_text("")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert any(path.endswith("x.py") for path in watcher.look())
    watcher.close()


@pytest.mark.parametrize("polls", [True, False])
def test_a_change_is_told_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, polls: bool) -> None:
    if polls:
        monkeypatch.setattr(watch, "_has_watchfiles", lambda: False)
    else:
        pytest.importorskip("watchfiles")
    file = tmp_path / "main.py"
    file.write_text("1")
    watcher = Watcher(ReloadOptions(dirs=(str(tmp_path),)))
    watcher.start()
    try:
        file.write_text("changed")
        assert select.select([watcher], [], [], 20)[0]
        assert os.path.realpath(watcher.take()[0]) == os.path.realpath(file)
    finally:
        watcher.close()


def test_a_change_before_the_native_watch_stands_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watchfiles = pytest.importorskip("watchfiles")
    begin, may_stand = watchfiles.watch, threading.Event()

    def late(*paths: str, **options: Any) -> Any:
        may_stand.wait(20)
        return begin(*paths, **options)

    monkeypatch.setattr(watchfiles, "watch", late)
    for name in ("as_it_was.py", "changed.py", "removed.py"):
        (tmp_path / name).write_text("1")
    watcher = Watcher(ReloadOptions(dirs=(str(tmp_path),)))
    watcher.start()
    try:
        (tmp_path / "changed.py").write_text("changed")
        (tmp_path / "removed.py").unlink()
        (tmp_path / "new.py").write_text("1")
        may_stand.set()
        assert select.select([watcher], [], [], 20)[0]
        assert watcher.take() == [str(tmp_path / name) for name in ("changed.py", "new.py", "removed.py")]
    finally:
        may_stand.set()
        watcher.close()
