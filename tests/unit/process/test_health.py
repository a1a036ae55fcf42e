"""When a worker is hung, when only stalled, and when it is let alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from torana.process.board import Reading
from torana.process.health import PAUSE_S, STALL_S, Health, Verdict

HANG_S = 30.0
STILL = Reading(is_open=True, beat=7, served=5, ended=5)


def watch(health: Health, reading: Reading, queue: int, seconds: float, begin_s: float = 0.0) -> tuple[float, Verdict]:
    """Look twice a second; when it was found hung first (or the last look), and what was said then."""
    looks = int(seconds * 2)
    verdict = Verdict()
    now = begin_s
    for step in range(looks + 1):
        now = begin_s + step / 2
        verdict = health.look(now, reading, queue)
        if verdict.is_hung:
            break
    return now, verdict


def test_connections_that_nobody_accepts_make_a_hang_after_its_time() -> None:
    now, verdict = watch(Health(HANG_S, 0.0), STILL, 3, 60)
    assert (now, verdict.is_hung) == (HANG_S, True)
    assert verdict.describe() == ("nothing has moved for 30 s while work waited for 30 s (at last 3 to be accepted)")


@pytest.mark.parametrize(
    ("reading", "queue"),
    [
        (STILL, 1),
        (replace(STILL, served=7), 0),
        (replace(STILL, served=6, queue=1), 0),
    ],
    ids=["a queue of connections", "two requests in flight", "a request without a thread"],
)
def test_each_kind_of_waiting_counts(reading: Reading, queue: int) -> None:
    assert watch(Health(HANG_S, 0.0), reading, queue, 60)[1].is_hung


@pytest.mark.parametrize("served", [5, 6], ids=["idle", "one long computation"])
def test_stillness_while_nobody_waits_is_no_hang(served: int) -> None:
    verdict = watch(Health(HANG_S, 0.0), replace(STILL, served=served), 0, 600)[1]
    assert not verdict.is_hung and not verdict.is_stalled
    assert verdict.still_s == 600.0


def test_a_client_that_comes_late_in_a_long_computation_gives_it_the_whole_time() -> None:
    health = Health(HANG_S, 0.0)
    watch(health, replace(STILL, served=6), 0, 50)
    now, verdict = watch(health, replace(STILL, served=6), 1, 60, 50.5)
    assert (now, verdict.is_hung) == (50.5 + HANG_S, True)


def test_what_waited_once_is_remembered_when_siblings_serve_it() -> None:
    health = Health(HANG_S, 0.0)
    watch(health, STILL, 2, 2)
    now, verdict = watch(health, STILL, 0, 60, 2.5)
    assert verdict.is_hung and now == HANG_S
    assert verdict.waiting == ""


@pytest.mark.parametrize("moved", [replace(STILL, beat=8), replace(STILL, ended=6)], ids=["loop", "thread"])
def test_one_move_begins_a_new_period(moved: Reading) -> None:
    health = Health(HANG_S, 0.0)
    watch(health, STILL, 1, 29)
    now, _ = watch(health, moved, 1, 60, 29.5)
    assert now == 29.5 + HANG_S


def test_without_a_limit_nothing_is_hung_but_queues_are_still_adopted() -> None:
    verdict = watch(Health(0.0, 0.0), STILL, 1, 600)[1]
    assert not verdict.is_hung and verdict.is_stalled


def test_the_time_before_the_row_is_open_is_boot() -> None:
    health = Health(HANG_S, 0.0)
    watch(health, Reading(), 5, 600)
    now, verdict = watch(health, STILL, 5, 60, 600.5)
    assert verdict.is_hung
    assert now == 600.5 + HANG_S


def test_a_pause_of_the_machine_grants_a_new_period() -> None:
    health = Health(HANG_S, 0.0)
    watch(health, STILL, 1, 29)
    assert not health.look(500.0, STILL, 1).is_hung
    assert watch(health, STILL, 1, 60, 500.5)[0] == 500.0 + HANG_S


def test_a_queue_is_stalled_until_the_loop_turns_even_when_siblings_have_emptied_it() -> None:
    health = Health(HANG_S, 0.0)
    assert not health.look(0.0, STILL, 1).is_stalled
    assert not health.look(1.0, STILL, 1).is_stalled
    assert health.look(STALL_S, STILL, 1).is_stalled
    assert health.look(2.0, STILL, 0).is_stalled
    # A thread that moves does not accept.
    assert health.look(2.5, replace(STILL, ended=6), 0).is_stalled
    assert not health.look(3.0, replace(STILL, ended=6, beat=8), 0).is_stalled


def test_an_idle_loop_without_callers_is_not_stalled() -> None:
    assert not watch(Health(HANG_S, 0.0), STILL, 0, 20)[1].is_stalled


LOOKS = st.lists(
    st.tuples(
        st.floats(0.01, 8.0),  # time to the next look
        st.integers(0, 2),  # turns of the loop
        st.integers(0, 1),  # requests that ended on threads
        st.integers(0, 2),  # connections in the queue
        st.integers(0, 3),  # requests in flight
    ),
    max_size=80,
)


@given(LOOKS, st.sampled_from([0.0, 1.0, 5.0, 30.0]))
def test_nobody_is_killed_without_cause(looks: list[tuple[float, int, int, int, int]], hang_s: float) -> None:
    """Hung means: since the last move, and since the last pause, somebody has waited all of ``hang_s``."""
    now = 0.0
    beat = ended = 0
    health = Health(hang_s, now)
    since = now
    waited: float | None = None
    for gap, turns, ends, queue, running in looks:
        now += gap
        beat += turns
        ended += ends
        if turns or ends:
            waited = None
        if gap > PAUSE_S:
            since = now
        reading = Reading(is_open=True, beat=beat, ended=ended, served=ended + running)
        verdict = health.look(now, reading, queue)
        if waited is None and (queue or running > 1):
            waited = now
        if verdict.is_hung:
            assert hang_s and waited is not None
            assert now - max(waited, since) >= hang_s - 1e-6
            assert turns == ends == 0
        elif hang_s and waited is not None:
            assert now - max(waited, since) < hang_s + 1e-6
        if verdict.is_stalled:
            assert turns == 0


@given(st.lists(st.integers(1, 5), min_size=1, max_size=200), st.integers(0, 9))
def test_a_busy_loop_is_never_hung(turns: list[int], queue: int) -> None:
    health = Health(1.0, 0.0)
    beat = 0
    for step, count in enumerate(turns):
        beat += count
        verdict = health.look(0.9 * step, Reading(is_open=True, beat=beat, served=100 + step), queue)
        assert not verdict.is_hung and not verdict.is_stalled
