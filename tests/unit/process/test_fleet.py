"""What the supervisor notes, and what the table then says."""

from __future__ import annotations

from signal import SIGABRT, SIGKILL

import pytest

from torana.process.actions import AbandonReload, Abort, Adopt, Dump, GiveUp, Kill, Release, Retire, Stop
from torana.process.fleet import EARLY_S, Fleet, Worker
from torana.process.states import Mode, State


def starting(fleet: Fleet, pid: int = 1, slot: int = 0, replaces: int | None = None) -> Worker:
    return fleet.note_spawned(slot, pid, fleet.generation, replaces, 0.0)


def ready(fleet: Fleet, pid: int = 1, slot: int = 0, at_s: float = 0.0) -> Worker:
    worker = starting(fleet, pid, slot)
    fleet.note_ready(pid, at_s)
    return worker


def test_a_boot_that_fails_counts_once_whether_it_was_announced_or_not() -> None:
    fleet = Fleet(2)
    starting(fleet, 1)
    fleet.note_failed(1, 3, "no such module", 1.0)
    fleet.note_gone(1, 1.1)
    assert fleet.boot_failures == 1
    starting(fleet, 2)
    fleet.note_gone(2, 2.0, "killed by signal 11")
    assert fleet.boot_failures == 2
    assert not fleet.workers


def test_a_worker_that_becomes_ready_ends_the_row_of_failures() -> None:
    fleet = Fleet(1)
    starting(fleet, 1)
    fleet.note_gone(1, 0.1)
    ready(fleet, 2)
    assert fleet.boot_failures == 0
    assert fleet.has_been_ready


def test_what_somebody_outside_killed_says_nothing_about_the_application() -> None:
    fleet = Fleet(2)
    starting(fleet, 1)
    ready(fleet, 2)
    fleet.note_gone(1, 0.1, was_killed=True)
    fleet.note_gone(2, 0.1, was_killed=True)
    assert (fleet.boot_failures, fleet.early_deaths, fleet.setback_s) == (0, 0, None)


def test_a_worker_that_dies_young_is_a_setback_and_one_that_lived_ends_the_row() -> None:
    fleet = Fleet(1)
    ready(fleet, 1)
    fleet.note_gone(1, EARLY_S / 2)
    assert (fleet.early_deaths, fleet.setback_s) == (1, EARLY_S / 2)
    ready(fleet, 2, at_s=100.0)
    fleet.note_gone(2, 100.0 + EARLY_S)
    assert fleet.early_deaths == 0
    assert fleet.boot_failures == 0


def test_the_end_of_a_worker_that_was_told_to_go_is_no_setback() -> None:
    fleet = Fleet(3)
    ready(fleet, 1)
    ready(fleet, 2, slot=1)
    starting(fleet, 3, slot=2)
    for action in (Retire(1), Stop(2), Stop(3)):
        fleet.note_action(action, 1.0)
    for pid in (1, 2, 3):
        fleet.note_gone(pid, 2.0)
    assert (fleet.boot_failures, fleet.early_deaths) == (0, 0)


def test_only_a_text_not_seen_before_is_news() -> None:
    fleet = Fleet(3)
    for pid in (1, 2, 3):
        starting(fleet, pid, pid - 1)
    assert fleet.note_failed(1, 3, "ImportError", 0.1)
    assert not fleet.note_failed(2, 3, "ImportError", 0.1)
    assert fleet.note_failed(3, 3, "another", 0.1)


def test_after_a_reload_the_same_text_is_news_again() -> None:
    fleet = Fleet(1)
    starting(fleet, 1)
    assert fleet.note_failed(1, 3, "ImportError", 0.1)
    fleet.ask_reload(0.2)
    starting(fleet, 2)
    assert fleet.note_failed(2, 3, "ImportError", 0.3)


def test_news_that_come_too_late_change_nothing() -> None:
    fleet = Fleet(1)
    worker = starting(fleet, 1)
    fleet.note_action(Stop(1), 0.1)
    fleet.note_ready(1, 0.2)
    assert worker.state is State.STOPPING
    assert not fleet.note_failed(1, 3, "interrupted", 0.3)
    assert fleet.boot_failures == 0


def test_notes_about_a_process_that_is_none_of_ours_are_passed_over() -> None:
    fleet = Fleet(1)
    assert fleet.note_gone(99, 0.0, "exit code 3") is None
    fleet.note_ready(99, 0.0)
    fleet.note_failed(99, 3, "x", 0.0)
    fleet.note_worn(99, "x")
    fleet.note_size(99, 1)
    fleet.note_stalled(99)
    fleet.note_hung(99)
    fleet.note_moving(99)
    for action in (Retire(99), Stop(99), Abort(99), Dump(99), Kill(99, SIGKILL), Adopt(0, (99,)), Release(0, (99,))):
        fleet.note_action(action, 0.0)
    assert not fleet.workers
    assert (fleet.boot_failures, fleet.failure) == (0, None)


def test_a_worker_that_boots_does_not_hang() -> None:
    fleet = Fleet(1)
    worker = starting(fleet)
    fleet.note_stalled(1)
    fleet.note_hung(1)
    assert not worker.is_stalled and not worker.is_hung


def test_a_worker_that_moves_again_is_no_longer_suspected() -> None:
    fleet = Fleet(1)
    worker = ready(fleet)
    fleet.note_hung(1)
    fleet.note_action(Dump(1), 5.0)
    assert not worker.is_accepting
    fleet.note_moving(1)
    assert worker.is_accepting
    assert worker.dumped_s is None


def test_the_first_reason_to_be_replaced_stays() -> None:
    fleet = Fleet(1)
    worker = ready(fleet)
    fleet.note_worn(1, "max_requests")
    fleet.note_worn(1, "SIGTERM")
    assert worker.worn == "max_requests"


def test_a_process_number_that_comes_again_is_another_process() -> None:
    fleet = Fleet(1)
    ready(fleet, 1)
    successor = starting(fleet, 2, replaces=1)
    fleet.note_gone(1, 1.0)
    assert successor.replaces is None


def test_what_is_retired_adopts_nothing() -> None:
    fleet = Fleet(2)
    worker = ready(fleet)
    fleet.note_action(Adopt(1, (1,)), 0.0)
    assert fleet.adopted == {1}
    fleet.note_action(Retire(1), 0.1)
    assert worker.adopts == set()
    assert fleet.adopted == set()


@pytest.mark.parametrize("action", [Abort(1), Kill(1, SIGABRT, "it was not ready")])
def test_a_boot_that_is_ended_by_us_is_a_boot_that_failed(action: Abort | Kill) -> None:
    fleet = Fleet(1)
    worker = starting(fleet)
    fleet.note_action(action, 3.0)
    fleet.note_gone(1, 3.1)
    assert worker.aborted_s == 3.0
    assert fleet.boot_failures == 1


def test_fewer_workers_leave_their_slots_open() -> None:
    fleet = Fleet(4)
    fleet.ask_scale(2)
    assert (fleet.wanted, fleet.slots) == (2, 4)
    fleet.ask_scale(0)
    assert fleet.wanted == 1
    fleet.ask_scale(6)
    assert (fleet.wanted, fleet.slots) == (6, 6)


def test_reloads_asked_for_before_any_worker_read_the_code_are_one() -> None:
    fleet = Fleet(1)
    ready(fleet)
    assert fleet.ask_reload(1.0) == fleet.ask_reload(1.1) == 2
    starting(fleet, 2, replaces=1)
    assert fleet.ask_reload(1.2) == 3


def test_a_reload_that_fails_gives_back_the_number_from_before_and_none_is_used_twice() -> None:
    fleet = Fleet(1)
    ready(fleet)
    fleet.ask_reload(1.0)
    starting(fleet, 2, replaces=1)
    fleet.ask_reload(2.0)
    fleet.note_action(AbandonReload(3, "broken"), 3.0)
    assert (fleet.generation, fleet.reload) == (1, None)
    assert fleet.ask_reload(4.0) == 4


def test_what_failed_in_the_code_before_does_not_fail_the_reload_after() -> None:
    fleet = Fleet(1)
    ready(fleet)
    fleet.ask_reload(1.0)
    starting(fleet, 2, replaces=1)
    fleet.ask_reload(2.0)
    fleet.note_failed(2, 3, "old mistake", 2.1)
    assert fleet.reload is not None
    assert fleet.reload.failure == ""


def test_whoever_reloads_has_changed_something_so_there_is_no_waiting() -> None:
    fleet = Fleet(1)
    starting(fleet)
    fleet.note_gone(1, 0.1)
    fleet.note_spawn_failed(0.2)
    fleet.ask_reload(0.3)
    assert (fleet.boot_failures, fleet.spawn_failures, fleet.early_deaths) == (0, 0, 0)


def test_a_reload_ends_a_pause_but_not_a_stop() -> None:
    fleet = Fleet(1)
    fleet.ask_pause()
    assert fleet.mode is Mode.PAUSED
    fleet.ask_reload(1.0)
    assert fleet.mode is Mode.RUNNING
    fleet.ask_stop()
    fleet.ask_reload(2.0)
    fleet.ask_pause()
    fleet.ask_hand_over()
    assert fleet.mode is Mode.STOPPING
    fleet.ask_abort()
    assert fleet.mode is Mode.ABORTING


def test_giving_up_leaves_streams_their_time_and_wastes_none_on_boots() -> None:
    fleet = Fleet(2)
    starting(fleet)
    fleet.note_action(GiveUp(3, "broken"), 0.0)
    assert (fleet.mode, fleet.exit_code) == (Mode.ABORTING, 3)

    fleet = Fleet(2)
    ready(fleet)
    fleet.note_action(Retire(1), 0.0)
    fleet.note_action(GiveUp(3, "broken"), 0.0)
    assert fleet.mode is Mode.STOPPING


def test_the_stacks_shown_during_a_slow_boot_are_not_those_of_a_later_hang() -> None:
    fleet = Fleet(1)
    worker = starting(fleet)
    fleet.note_action(Dump(1), 60.0)
    fleet.note_ready(1, 61.0)
    assert worker.dumped_s is None


def test_a_fork_that_works_ends_the_row_of_those_that_did_not() -> None:
    fleet = Fleet(1)
    fleet.note_spawn_failed(0.0)
    assert fleet.spawn_failures == 1
    starting(fleet)
    assert fleet.spawn_failures == 0
