"""How many workers an application bears, and what the fleet makes of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from torana.base.worker_policy import ANY, SINGLE, STICKY
from torana.process.actions import AbandonReload, Adopt, Retire, Spawn, Stop
from torana.process.bound import why_one
from torana.process.fleet import Fleet
from torana.process.options import RunOptions
from torana.process.plan import Rules, decide
from torana.process.states import State

WHY = "it keeps its sessions in memory"


@pytest.mark.parametrize(
    ("policy", "has_affinity", "is_one"),
    [(ANY, False, False), (ANY, True, False), (STICKY, False, True), (STICKY, True, False), (SINGLE, True, True)],
)
def test_affinity_lets_sessions_be_many_and_nothing_else(policy: str, has_affinity: bool, is_one: bool) -> None:
    options = RunOptions()
    keys = ("cookie",) if has_affinity else ()
    options = replace(options, serve=replace(options.serve, affinity=keys))  # type: ignore[arg-type]
    said = why_one(policy, "keeps its sessions in memory", options)
    assert bool(said) is is_one
    assert ("--affinity cookie" in said) is (policy == STICKY and is_one)


def fleet_of(workers: int) -> Fleet:
    """As many workers, about to start, pid 1 in slot 0 and so on."""
    fleet = Fleet(workers)
    for slot in range(workers):
        fleet.note_spawned(slot, slot + 1, 1, None, 0.0)
    return fleet


def done(fleet: Fleet, now_s: float = 1.0) -> list[object]:
    """What the plan has done, until nothing is left to do."""
    actions: list[object] = []
    while decided := decide(fleet, now_s, Rules()).actions:
        for action in decided:
            actions.append(action)
            fleet.note_action(action, now_s)
            if isinstance(action, Spawn):
                fleet.note_spawned(action.slot, 100 + len(actions), action.generation, action.replaces, now_s)
    return actions


def test_what_the_first_worker_says_ends_the_others_before_they_serve() -> None:
    fleet = fleet_of(4)
    fleet.note_ready(1, 1.0)
    assert fleet.note_bound(1, WHY) is True
    assert (fleet.wanted, fleet.asked, fleet.why_one) == (1, 4, WHY)
    assert [type(action) for action in done(fleet)] == [Stop, Stop, Stop, Adopt, Adopt, Adopt]
    assert fleet.workers[1].adopts == {1, 2, 3}, "what waits in their queues is not lost"
    assert fleet.note_bound(1, WHY) is False, "it is said once"


def test_a_worker_that_is_one_too_many_is_no_failure_and_is_not_replaced() -> None:
    fleet = fleet_of(3)
    assert fleet.note_surplus(2, WHY, 1.0) is True
    assert fleet.note_surplus(3, WHY, 1.0) is False
    for pid in (2, 3):
        fleet.note_gone(pid, 1.1)
    assert (fleet.boot_failures, fleet.failure, fleet.setback_s) == (0, None, None)
    assert done(fleet) == []
    fleet.note_ready(1, 2.0)
    assert {action.slot for action in done(fleet) if isinstance(action, Adopt)} == {1, 2}
    assert [worker.pid for worker in fleet.of(State.READY)] == [1]


def test_a_surplus_worker_that_was_sent_away_already_changes_nothing() -> None:
    fleet = fleet_of(2)
    fleet.note_action(Stop(2), 0.5)
    fleet.note_surplus(2, WHY, 1.0)
    assert fleet.workers[2].state is State.STOPPING
    fleet.note_surplus(7, WHY, 1.0)  # long gone
    assert fleet.wanted == 1


def test_more_are_wanted_as_soon_as_they_are_borne() -> None:
    fleet = Fleet(1)
    fleet.note_bound(1, WHY)
    fleet.ask_scale(3)
    assert (fleet.wanted, fleet.slots) == (1, 1)
    assert fleet.note_bound(1, "") is True
    assert (fleet.wanted, fleet.slots) == (3, 3)


def test_new_code_is_bound_as_the_old_until_it_says_otherwise() -> None:
    fleet = fleet_of(1)
    fleet.note_ready(1, 0.0)
    fleet.ask_scale(2)
    fleet.note_bound(1, WHY)
    fleet.ask_reload(1.0)
    assert fleet.wanted == 1
    fleet.note_bound(2, "")
    assert fleet.wanted == 2


def test_an_abandoned_reload_leaves_what_held_before() -> None:
    fleet = fleet_of(2)
    for pid in (1, 2):
        fleet.note_ready(pid, 0.0)
    fleet.note_bound(1, "")
    fleet.ask_reload(1.0)
    fleet.note_spawned(1, 3, fleet.generation, 2, 1.0)
    fleet.note_surplus(3, WHY, 1.1)
    assert fleet.wanted == 1
    fleet.note_action(AbandonReload(fleet.generation, "the other one fails"), 1.2)
    assert fleet.wanted == 2


def test_new_code_that_bears_one_only_retires_the_old_workers_beyond_it() -> None:
    fleet = fleet_of(3)
    for pid in (1, 2, 3):
        fleet.note_ready(pid, 0.0)
    fleet.note_bound(1, "")
    fleet.ask_reload(1.0)
    fleet.note_spawned(0, 4, fleet.generation, 1, 1.0)
    fleet.note_ready(4, 1.1)
    fleet.note_bound(fleet.generation, WHY)
    retired = [action.pid for action in done(fleet) if isinstance(action, Retire)]
    assert sorted(retired) == [1, 2, 3]
    assert [worker.pid for worker in fleet.of(State.READY)] == [4]
    assert fleet.reload is None, "it is complete"
