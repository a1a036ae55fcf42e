"""The short run: no input raises anything, and no way to cut it changes the verdict."""

from __future__ import annotations

import pytest

from tests.fuzz.inputs import inputs
from tests.fuzz.targets import TARGETS

COUNT = 1000


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_is_a_finding(name: str) -> None:
    target = TARGETS[name]
    for number, data in enumerate(inputs(target, COUNT)):
        try:
            target.run(data)
        except Exception as problem:
            problem.add_note(f"input {number} of {name}: {data!r}")
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_the_inputs_are_always_the_same_and_reach_something(name: str) -> None:
    target = TARGETS[name]
    first = list(inputs(target, 400))[-100:]
    assert first == list(inputs(target, 400))[-100:]
    assert len({repr(target.run(data)) for data in first}) > 5
