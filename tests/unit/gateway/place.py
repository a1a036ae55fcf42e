"""An empty directory to write programs into, which are forgotten after the test."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def empty_place(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, empty; modules that a test imports from it are forgotten after it."""
    monkeypatch.chdir(directory)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield directory
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        if str(directory) in str(getattr(module, "__file__", "") or getattr(module, "__path__", "")):
            del sys.modules[name]


def write(place: Path, files: dict[str, str]) -> None:
    """Files by their path, with or without the ending ".py"."""
    for name, text in files.items():
        path = place / (name if "." in name.rpartition("/")[2] else f"{name}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
