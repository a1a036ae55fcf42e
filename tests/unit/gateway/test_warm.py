"""Frameworks imported ahead of a reload: only known ones, and never anything of the user's."""

from __future__ import annotations

import sys

import pytest

from torana.gateway.load import warm_up
from torana.gateway.warm import KNOWN, imported


def test_only_what_was_imported_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KNOWN:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "flask", sys)
    monkeypatch.setitem(sys.modules, "my_own_module", sys)
    assert imported() == ["flask"]


def test_where_imports_change_other_modules_nothing_is_imported_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flask", sys)
    monkeypatch.setitem(sys.modules, "gevent", sys)
    assert imported() == []


def test_unknown_and_failing_modules_are_passed_over(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bottle", None)
    monkeypatch.delitem(sys.modules, "this", raising=False)
    warm_up(["bottle", "this"])
    assert "this" not in sys.modules
