"""The plan's rules, one by one: a table is laid, a question asked. Whole lives are in test_plan_simulation.py."""

from __future__ import annotations

from signal import SIGABRT, SIGKILL

import pytest
from msgspec.structs import replace

from torana.process.actions import (
    AbandonReload,
    Abort,
    Action,
    Adopt,
    CompleteReload,
    Dump,
    Finish,
    GiveUp,
    Kill,
    Release,
    Retire,
    Spawn,
    Stop,
)
from torana.process.fleet import Fleet
from torana.process.options import RunOptions
from torana.process.plan import RULES, Rules, decide
from torana.process.states import Mode, State

RULES_HERE = Rules(boot_s=60.0, retire_s=300.0, graceful_s=25.0, cancel_s=3.0, drain_delay_s=10.0, margin_s=5.0)
START_S = 1000.0


def served(workers: int, rules: Rules = RULES_HERE) -> Fleet:
    """A fleet in which worker 1 is ready in slot 0, worker 2 in slot 1 and so on, and nothing is left to do."""
    fleet = Fleet(workers)
    for slot in range(workers):
        fleet.note_spawned(slot, slot + 1, 1, None, START_S)
        fleet.note_ready(slot + 1, START_S)
    assert now(fleet, START_S, rules) == ()
    return fleet


def now(fleet: Fleet, now_s: float, rules: Rules = RULES_HERE) -> tuple[Action, ...]:
    return decide(fleet, now_s, rules).actions


def act(fleet: Fleet, now_s: float, rules: Rules = RULES_HERE) -> list[Action]:
    """Do what the plan says until it has nothing left to say; new workers get the next free number."""
    done: list[Action] = []
    while actions := now(fleet, now_s, rules):
        assert len(done) < 1000
        for action in actions:
            done.append(action)
            fleet.note_action(action, now_s)
            if isinstance(action, Spawn):
                pid = max(fleet.workers, default=0) + 1
                fleet.note_spawned(action.slot, pid, action.generation, action.replaces, now_s)
        if isinstance(actions[-1], Finish):
            break
    return done


def spawns(actions: list[Action] | tuple[Action, ...]) -> list[tuple[int, int | None]]:
    return [(action.slot, action.replaces) for action in actions if isinstance(action, Spawn)]


def test_every_mode_has_its_rules() -> None:
    assert set(RULES) == set(Mode)


def test_the_rules_of_a_run_come_from_its_options() -> None:
    options = RunOptions()
    options = replace(options, process=replace(options.process, boot_s=7.0, retire_s=8.0))
    rules = Rules.of(options)
    assert (rules.boot_s, rules.retire_s, rules.graceful_s) == (7.0, 8.0, options.serve.timeouts.graceful_s)


def test_to_decide_changes_nothing() -> None:
    fleet = Fleet(3)
    assert decide(fleet, START_S, RULES_HERE) == decide(fleet, START_S, RULES_HERE)
    assert not fleet.workers


# More workers


def test_the_first_start_fills_every_slot_at_once() -> None:
    assert spawns(act(Fleet(3), START_S)) == [(0, None), (1, None), (2, None)]


def test_a_worker_that_is_killed_is_made_again_at_once_in_its_own_slot() -> None:
    fleet = served(3)
    fleet.note_gone(2, START_S + 1, was_killed=True)
    assert spawns(act(fleet, START_S + 1)) == [(1, None)]


def test_each_boot_that_fails_doubles_the_wait() -> None:
    fleet = served(2)
    at_s = START_S + 100
    fleet.note_gone(2, at_s)
    for wait_s in (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0):
        actions = act(fleet, at_s)
        if wait_s:
            assert spawns(actions) == []
            next_look_s = decide(fleet, at_s, RULES_HERE).next_look_s
            assert next_look_s == pytest.approx(at_s + wait_s)
            at_s = next_look_s or 0.0
            actions = act(fleet, at_s)
        assert spawns(actions) == [(1, None)]
        fleet.note_gone(2, at_s)


def test_forks_that_fail_are_tried_again_further_and_further_apart_and_never_given_up() -> None:
    fleet = Fleet(1)
    at_s = START_S
    for _ in range(50):
        assert spawns(now(fleet, at_s)) == [(0, None)]
        fleet.note_spawn_failed(at_s)
        decision = decide(fleet, at_s, RULES_HERE)
        assert decision.actions == ()
        assert decision.next_look_s is not None and at_s + 0.1 <= decision.next_look_s <= at_s + 30.1
        at_s = decision.next_look_s


def test_workers_that_die_young_wait_less_long_than_those_that_never_worked() -> None:
    fleet = served(1)
    fleet.early_deaths = 30
    fleet.note_gone(1, START_S + 1)
    assert decide(fleet, START_S + 1, RULES_HERE).next_look_s == START_S + 6


def test_an_old_setback_does_not_delay_anything() -> None:
    fleet = served(2)
    fleet.early_deaths, fleet.setback_s = 9, START_S
    later_s = START_S + RULES_HERE.forget_s
    for pid in (1, 2):
        fleet.note_gone(pid, later_s, was_killed=True)
    assert spawns(act(fleet, later_s)) == [(0, None), (1, None)]


# Replacing


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda fleet: fleet.note_worn(2, "max_requests"), "max_requests"),
        (lambda fleet: fleet.note_size(2, 300 << 20), "it takes 300 MiB of memory, more than 200"),
        (lambda fleet: setattr(fleet.workers[2], "generation", 0) or fleet.ask_reload(START_S), "reload"),
        (lambda fleet: setattr(fleet.workers[2], "lifetime_s", 5.0), "it reached its lifetime"),
    ],
)
def test_a_worker_is_replaced_and_retired_when_the_new_one_is_ready(change, why) -> None:
    fleet = served(2)
    fleet.workers[2].max_rss_bytes = 200 << 20
    change(fleet)
    if fleet.reload:
        fleet.workers[1].generation = fleet.generation
    at_s = START_S + 5
    assert now(fleet, at_s) == (Spawn(1, fleet.generation, 2, why),)
    act(fleet, at_s)
    assert act(fleet, at_s + 20) == []
    fleet.note_ready(3, at_s + 30)
    assert act(fleet, at_s + 30)[0] == Retire(2, why if why == "max_requests" else "replaced")


def test_the_lifetime_is_looked_at_when_it_ends() -> None:
    fleet = served(2)
    fleet.workers[1].lifetime_s = 500.0
    assert decide(fleet, START_S + 1, RULES_HERE).next_look_s == START_S + 500


def test_one_worker_at_a_time_is_replaced() -> None:
    fleet = served(4)
    for pid in (1, 2, 3, 4):
        fleet.note_worn(pid, "max_requests")
    for successor in (5, 6, 7, 8):
        assert len(spawns(act(fleet, START_S))) == 1
        assert act(fleet, START_S) == []
        fleet.note_ready(successor, START_S)


def test_a_replacement_that_fails_leaves_the_old_worker_and_is_tried_again_later() -> None:
    fleet = served(2)
    fleet.note_worn(1, "max_requests")
    act(fleet, START_S)
    fleet.note_gone(3, START_S)
    assert act(fleet, START_S) == []
    assert fleet.workers[1].state is State.READY
    assert spawns(act(fleet, START_S + 0.1)) == [(0, 1)]


def test_old_workers_with_long_streams_do_not_pile_up() -> None:
    rules = replace(RULES_HERE, retiring_limit=1)
    fleet = served(2, rules)
    fleet.note_worn(1, "a")
    act(fleet, START_S, rules)
    fleet.note_ready(3, START_S)
    fleet.note_worn(2, "b")
    assert act(fleet, START_S, rules) == [Retire(1, "a")]
    undisturbed_s = START_S + rules.undisturbed_s
    assert decide(fleet, START_S + 1, rules).next_look_s == undisturbed_s
    assert act(fleet, undisturbed_s, rules) == [Stop(1, "too many workers are retiring"), Spawn(1, 1, 2, "b")]


# Reload


def reloading(workers: int = 2) -> Fleet:
    fleet = served(workers)
    fleet.ask_reload(START_S)
    assert spawns(act(fleet, START_S)) == [(0, 1)]
    return fleet


def test_a_reload_goes_from_slot_to_slot_and_is_complete_when_the_last_is_ready() -> None:
    fleet = reloading()
    fleet.note_ready(3, START_S)
    assert act(fleet, START_S) == [Retire(1, "replaced"), Spawn(1, 2, 2, "reload")]
    fleet.note_ready(4, START_S)
    assert act(fleet, START_S) == [Retire(2, "replaced"), CompleteReload(2)]
    assert fleet.reload is None


def test_one_that_fails_abandons_the_reload_with_its_words() -> None:
    fleet = reloading()
    fleet.note_failed(3, 3, "SyntaxError: line 7", START_S)
    assert act(fleet, START_S) == [AbandonReload(2, "SyntaxError: line 7")]
    fleet.note_gone(3, START_S)
    assert act(fleet, START_S + 1000) == []
    assert [worker.pid for worker in fleet.of(State.READY)] == [1, 2]


def test_one_that_takes_too_long_abandons_the_reload() -> None:
    fleet = reloading()
    assert act(fleet, START_S + 59.9) == []
    assert act(fleet, START_S + 60) == [Dump(3, "it was not ready after 60 s")]
    assert act(fleet, START_S + 62)[:2] == [
        Kill(3, SIGABRT, "it was not ready after 60 s"),
        AbandonReload(2, "it was not ready after 60 s"),
    ]


def test_a_replacement_that_somebody_kills_is_made_again() -> None:
    fleet = reloading()
    fleet.note_gone(3, START_S, was_killed=True)
    assert spawns(act(fleet, START_S)) == [(0, 1)]


def test_a_worker_that_dies_during_a_reload_comes_back_with_the_new_code() -> None:
    fleet = reloading(3)
    fleet.note_gone(3, START_S, was_killed=True)
    assert act(fleet, START_S)[-1] == Spawn(2, 2, None)


def test_a_reload_during_a_reload_replaces_what_is_new_already() -> None:
    fleet = reloading(1)
    fleet.ask_reload(START_S)
    fleet.note_ready(2, START_S)
    assert act(fleet, START_S) == [Retire(1, "replaced"), Spawn(0, 3, 2, "reload")]
    fleet.note_ready(3, START_S)
    assert act(fleet, START_S) == [Retire(2, "replaced"), CompleteReload(3)]


@pytest.mark.parametrize("ask", [Fleet.ask_pause, Fleet.ask_hand_over, Fleet.ask_stop, Fleet.ask_abort])
def test_whoever_waits_for_a_reload_hears_that_it_is_off(ask) -> None:
    fleet = reloading()
    ask(fleet)
    assert isinstance(act(fleet, START_S)[0], AbandonReload)


# Giving up


@pytest.mark.parametrize("code", [2, 3, 4])
def test_what_cannot_be_served_at_the_first_start_is_given_up_at_once(code: int) -> None:
    fleet = Fleet(3)
    act(fleet, START_S)
    fleet.note_failed(2, code, "why", START_S)
    assert act(fleet, START_S) == [GiveUp(code, "the application cannot be served"), Abort(1), Abort(2), Abort(3)]
    for pid in (1, 2, 3):
        fleet.note_gone(pid, START_S)
    assert act(fleet, START_S) == [Finish(code)]


@pytest.mark.parametrize("announced", [True, False])
def test_crashes_at_the_first_start_are_given_up_after_five(announced: bool) -> None:
    fleet = Fleet(1)
    at_s = START_S
    for pid in range(10, 15):
        assert len(spawns(now(fleet, at_s))) == 1
        fleet.note_spawned(0, pid, 1, None, at_s)
        if announced:
            fleet.note_failed(pid, 1, "RuntimeError", at_s)
        fleet.note_gone(pid, at_s)
        at_s += 30
    assert act(fleet, at_s) == [GiveUp(3, "5 workers in a row did not become ready"), Finish(3)]


def test_later_it_takes_ten_and_nobody_left() -> None:
    fleet = served(2)
    fleet.note_gone(2, START_S + 20)
    fleet.boot_failures = 10
    assert not any(isinstance(action, GiveUp) for action in act(fleet, START_S + 20))
    fleet.note_gone(1, START_S + 20)
    assert now(fleet, START_S + 20) == (GiveUp(3, "10 workers in a row did not become ready"),)


def test_a_failure_that_is_known_is_nothing_to_give_up_for_while_others_serve() -> None:
    fleet = served(2)
    fleet.note_gone(2, START_S)
    fleet.note_spawned(1, 3, 1, None, START_S)
    fleet.note_failed(3, 3, "ImportError", START_S)
    assert now(fleet, START_S) == (Adopt(1, (1,)),)


# Fewer workers


def test_scaled_down_the_highest_slots_retire_and_their_queues_are_adopted() -> None:
    fleet = served(4)
    fleet.ask_scale(2)
    why = "fewer workers are wanted"
    assert act(fleet, START_S) == [Retire(3, why), Retire(4, why), Adopt(2, (1, 2)), Adopt(3, (1, 2))]
    fleet.ask_scale(3)
    assert spawns(act(fleet, START_S)) == [(2, None)]
    fleet.note_ready(5, START_S)
    assert act(fleet, START_S) == [Release(2, (1, 2)), Adopt(3, (5,))]


def test_a_worker_that_was_never_ready_is_stopped_instead_of_retired() -> None:
    fleet = Fleet(2)
    act(fleet, START_S)
    fleet.ask_scale(1)
    assert act(fleet, START_S) == [Stop(2, "fewer workers are wanted")]


def test_a_pause_retires_all_and_a_reload_brings_them_back() -> None:
    fleet = served(2)
    fleet.ask_pause()
    assert act(fleet, START_S) == [Retire(1, "paused", True), Retire(2, "paused", True)]
    fleet.note_gone(1, START_S)
    fleet.note_gone(2, START_S)
    assert act(fleet, START_S) == []
    fleet.ask_reload(START_S)
    assert spawns(act(fleet, START_S)) == [(0, None), (1, None)]


def test_after_the_handover_streams_have_their_time() -> None:
    fleet = served(2)
    fleet.ask_hand_over()
    assert act(fleet, START_S) == [Retire(1, "handed over", True), Retire(2, "handed over", True)]
    assert act(fleet, START_S + 300) == []
    fleet.note_gone(1, START_S + 300)
    fleet.note_gone(2, START_S + 300)
    assert act(fleet, START_S + 300) == [Finish(0)]


# Stopping


def test_a_stop_tells_everybody_once_and_waits_for_all() -> None:
    fleet = served(2)
    fleet.note_action(Retire(1), START_S)
    fleet.note_spawned(0, 3, 1, None, START_S)
    fleet.ask_stop()
    assert act(fleet, START_S) == [Stop(1), Stop(2), Stop(3)]
    for pid in (1, 2, 3):
        assert act(fleet, START_S + 1) == []
        fleet.note_gone(pid, START_S + 1)
    assert act(fleet, START_S + 1) == [Finish(0)]


def test_who_was_ready_has_the_graceful_time_and_who_was_not_has_little() -> None:
    fleet = served(1)
    fleet.ask_scale(2)
    act(fleet, START_S)
    fleet.ask_stop()
    act(fleet, START_S)
    assert act(fleet, START_S + 8) == [Kill(2, SIGKILL, "it did not end in time")]
    assert act(fleet, START_S + 42.9) == []
    assert act(fleet, START_S + 43) == [Kill(1, SIGKILL, "it did not end in time")]


def test_a_process_that_not_even_sigkill_ends_does_not_keep_the_server() -> None:
    fleet = served(1)
    fleet.ask_abort()
    assert act(fleet, START_S) == [Abort(1)]
    assert act(fleet, START_S + 5) == [Kill(1, SIGKILL, "it did not end in time")]
    assert decide(fleet, START_S + 5, RULES_HERE).next_look_s == START_S + 10
    assert act(fleet, START_S + 10) == [Finish(0)]


def test_a_stop_may_become_an_abort() -> None:
    fleet = served(1)
    fleet.ask_stop()
    act(fleet, START_S)
    fleet.ask_abort()
    assert act(fleet, START_S) == [Abort(1)]


def test_what_was_killed_is_told_nothing_more() -> None:
    fleet = served(2)
    fleet.note_action(Kill(1, SIGKILL), START_S)
    fleet.ask_abort()
    assert act(fleet, START_S) == [Abort(2)]


# Workers in which nothing moves


def test_a_hung_worker_shows_its_stacks_then_is_aborted_then_killed() -> None:
    fleet = served(2)
    fleet.note_hung(2, "nothing moved")
    assert act(fleet, START_S) == [Dump(2, "nothing moved"), Adopt(1, (1,))]
    assert act(fleet, START_S + 1.9) == []
    assert act(fleet, START_S + 2) == [Kill(2, SIGABRT, "nothing moved"), Spawn(1, 1, None)]
    assert act(fleet, START_S + 6.9) == []
    assert act(fleet, START_S + 7) == [Kill(2, SIGKILL, "it did not end in time")]


def test_one_that_moves_again_lives_and_gets_its_queue_back() -> None:
    fleet = served(2)
    fleet.note_hung(2)
    act(fleet, START_S)
    fleet.note_moving(2)
    assert act(fleet, START_S + 100) == [Release(1, (1,))]


def test_a_boot_has_no_end_when_none_is_set() -> None:
    rules = replace(RULES_HERE, boot_s=0.0)
    fleet = Fleet(1)
    act(fleet, START_S, rules)
    assert decide(fleet, START_S + 1e6, rules).next_look_s is None


# Queues that nobody looks after


def test_the_first_that_is_ready_takes_from_all_slots_until_their_own_workers_are() -> None:
    fleet = Fleet(3)
    act(fleet, START_S)
    fleet.note_ready(2, START_S)
    assert act(fleet, START_S) == [Adopt(0, (2,)), Adopt(2, (2,))]
    fleet.note_ready(3, START_S)
    assert act(fleet, START_S) == [Release(2, (2,)), Adopt(0, (3,))]
    fleet.note_ready(1, START_S)
    assert act(fleet, START_S) == [Release(0, (2, 3))]


def test_a_stalled_worker_keeps_its_slot_and_others_help() -> None:
    fleet = served(3)
    fleet.note_stalled(2)
    assert act(fleet, START_S) == [Adopt(1, (1, 3))]


def test_during_a_replacement_the_slot_is_never_vacant() -> None:
    fleet = reloading()
    fleet.note_ready(3, START_S)
    assert not any(isinstance(action, Adopt) for action in act(fleet, START_S))
