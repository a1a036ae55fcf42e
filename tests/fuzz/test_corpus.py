"""The kept corpus: what long runs have found to reach every corner, and each finding that was mended, stays well."""

from __future__ import annotations

import pytest

from tests.fuzz.inputs import CORPUS, kept
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_no_kept_input_is_a_finding(name: str) -> None:
    target = TARGETS[name]
    for file, data in kept(name):
        try:
            target.run(data)
        except Exception as problem:
            problem.add_note(f"tests/fuzz/corpus/{name}/{file}")
            raise


def test_the_corpus_is_small_and_belongs_to_targets() -> None:
    folders = [path for path in CORPUS.iterdir() if path.is_dir()]
    assert {path.name for path in folders} <= set(TARGETS)
    assert sum(file.stat().st_size for path in folders for file in path.iterdir()) < 1_000_000
