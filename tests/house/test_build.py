"""A tree is compiled or pure, never half of each; and the package carries what others build and check against."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import torana
from tests.house.tree import ROOT, read
from torana.base.build import describe, is_compiled

MODULES = sorted(file.module for file in read().cython)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_of_the_same_build(name: str) -> None:
    origin = importlib.import_module(name).__file__
    assert origin is not None
    assert origin.endswith(".py") != is_compiled()


def test_the_word_says_which_build() -> None:
    assert describe() == ("compiled" if is_compiled() else "pure")


def test_the_package_carries_declarations_and_the_mark_of_types() -> None:
    package = Path(torana.__file__).parent
    assert (package / "py.typed").exists()
    for name in MODULES:
        assert package.joinpath(*name.split(".")[1:]).with_suffix(".pxd").exists()


def test_nothing_compiled_lies_in_the_source() -> None:
    """A stray module would shadow its source: the pure build would not be pure."""
    if Path(torana.__file__).is_relative_to(ROOT / "src"):
        pytest.skip("built in place, for development")
    assert [path for path in (ROOT / "src").rglob("*") if path.suffix in (".so", ".pyd", ".c", ".pyx")] == []
