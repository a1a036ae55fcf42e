"""What may become of a worker and of the server."""

from __future__ import annotations

from itertools import product

import pytest

from torana.process.states import Mode, State, can_become, can_turn

ORDER = [State.STARTING, State.READY, State.RETIRING, State.STOPPING, State.GONE]


@pytest.mark.parametrize(("state", "after"), list(product(ORDER, ORDER)))
def test_a_worker_never_goes_back(state: State, after: State) -> None:
    if can_become(state, after):
        assert ORDER.index(after) > ORDER.index(state)


@pytest.mark.parametrize("state", ORDER[:-1])
def test_a_process_may_end_in_every_state(state: State) -> None:
    assert can_become(state, State.GONE)


def test_nothing_retires_that_was_never_ready() -> None:
    assert [state for state in State if can_become(state, State.RETIRING)] == [State.READY]


def test_only_a_pause_has_an_end() -> None:
    assert {mode for mode in Mode if can_turn(mode, Mode.RUNNING)} == {Mode.PAUSED}


def test_whatever_the_server_does_it_can_be_stopped_at_once() -> None:
    assert {mode for mode in Mode if can_turn(mode, Mode.ABORTING)} == set(Mode) - {Mode.ABORTING}


def test_a_stop_is_not_taken_back() -> None:
    assert {mode for mode in Mode if can_turn(Mode.STOPPING, mode)} == {Mode.ABORTING}
