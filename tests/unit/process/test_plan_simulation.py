"""The plan at work in a small made-up world: processes boot, serve, die, hang and disobey while time passes.

What must hold at every moment stands in ``World``: the plan settles, orders nothing twice, and looks ahead. Random
lives are made by hypothesis; the named ones below them are the promises (threats G-089, G-093, G-100 to G-103).
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from signal import SIGABRT, SIGKILL

from hypothesis import given, settings
from hypothesis import strategies as st

from torana.process.actions import (
    AbandonReload,
    Abort,
    Action,
    CompleteReload,
    Dump,
    Finish,
    GiveUp,
    Kill,
    Retire,
    Spawn,
    Stop,
)
from torana.process.fleet import Fleet, Worker
from torana.process.plan import Rules, decide
from torana.process.states import Mode, State

RULES = Rules(boot_s=20.0, retire_s=40.0)
#: More looks than this without time passing is a plan that does not settle.
MOST_LOOKS = 300


@dataclass
class Code:
    """How the processes behave that are spawned while this is on the disk."""

    boot_s: float = 1.0
    #: "ready", "failed" (says why), "crash" (without a word) or "silent" (never gets anywhere).
    outcome: str = "ready"
    #: It ends by itself this long after it was ready; 0 never.
    lives_s: float = 0.0
    #: How long it takes to end when told to retire, to stop, or sent SIGABRT; -1 it does not.
    retire_s: float = 2.0
    stop_s: float = 0.5
    abort_s: float = 0.1


@dataclass
class World:
    """Time, processes, and a supervisor that does what the plan says."""

    wanted: int
    code: Code = field(default_factory=Code)
    can_fork: bool = True
    now_s: float = 0.0
    actions: list[tuple[float, Action]] = field(default_factory=list)
    is_finished: bool = False

    def __post_init__(self) -> None:
        self.fleet = Fleet(self.wanted)
        self._codes: dict[int, Code] = {}
        self._events: list[tuple[float, int, str, int]] = []
        self._serial = 0
        self._given: Counter[Action] = Counter()
        self.settle()

    # Time

    def _in(self, delay_s: float, what: str, pid: int) -> None:
        if delay_s >= 0:
            self._serial += 1
            heapq.heappush(self._events, (self.now_s + delay_s, self._serial, what, pid))

    def run(self, for_s: float) -> None:
        """Let time pass; every event and every look that the plan asked for happens at its time."""
        end_s = self.now_s + for_s
        while not self.is_finished:
            look_s = self.settle()
            event_s = self._events[0][0] if self._events else None
            at_s = min((s for s in (look_s, event_s) if s is not None), default=end_s)
            if at_s > end_s:
                break
            self.now_s = max(self.now_s, at_s)
            if event_s is not None and event_s <= self.now_s:
                _, _, what, pid = heapq.heappop(self._events)
                self._happen(what, pid)
            elif at_s == end_s:
                break
        self.now_s = end_s

    def _happen(self, what: str, pid: int) -> None:
        worker = self.fleet.workers.get(pid)
        if worker is None:
            return
        code = self._codes[pid]
        if what == "ready" and worker.state is State.STARTING:
            self.fleet.note_ready(pid, self.now_s)
            if code.lives_s:
                self._in(code.lives_s, "gone", pid)
        elif what == "failed":
            self.fleet.note_failed(pid, 3, "broken", self.now_s)
            self._in(0.05, "gone", pid)
        elif what == "gone":
            self.fleet.note_gone(pid, self.now_s)

    # The supervisor

    def settle(self) -> float | None:
        """Carry out what the plan says until it has nothing to say; returns when it wants to look again."""
        for _ in range(MOST_LOOKS):
            if self.is_finished:
                return None
            decision = decide(self.fleet, self.now_s, RULES)
            if not decision.actions:
                self._check_settled(decision.next_look_s)
                return decision.next_look_s
            for action in decision.actions:
                self._check_order(action)
                self.actions.append((self.now_s, action))
                self._carry_out(action)
                self.fleet.note_action(action, self.now_s)
        raise AssertionError(f"the plan does not settle: {self.actions[-5:]}")

    def _carry_out(self, action: Action) -> None:
        match action:
            case Spawn():
                self._spawn(action)
            case Retire(pid):
                self._in(self._codes[pid].retire_s, "gone", pid)
            case Stop(pid) | Abort(pid):
                self._in(self._codes[pid].stop_s, "gone", pid)
            case Kill(pid, signal):
                self._in(0.01 if signal == SIGKILL else self._codes[pid].abort_s, "gone", pid)
            case Finish():
                self.is_finished = True

    def _spawn(self, action: Spawn) -> None:
        if not self.can_fork:
            self.fleet.note_spawn_failed(self.now_s)
            return
        pid = len(self._codes) + 1
        self._codes[pid] = self.code
        self.fleet.note_spawned(action.slot, pid, action.generation, action.replaces, self.now_s)
        what = {"crash": "gone", "silent": ""}.get(self.code.outcome, self.code.outcome)
        self._in(self.code.boot_s, what, pid)

    # What must hold

    def _check_order(self, action: Action) -> None:
        """No order is given twice, and nobody is sent away before another serves in his place."""
        if isinstance(action, Retire | Stop | Abort | Kill):
            self._given[action] += 1
            assert self._given[action] == 1, f"given twice: {action}"
        if isinstance(action, Retire) and self.fleet.mode is Mode.RUNNING:
            old = self.fleet.workers[action.pid]
            siblings = [worker for worker in self.fleet.of(State.READY) if worker.slot == old.slot]
            assert len(siblings) > 1 or old.slot >= self.fleet.wanted, f"nobody serves in place of {old}"
        if isinstance(action, Dump):
            assert self.fleet.workers[action.pid].dumped_s is None

    def _check_settled(self, next_look_s: float | None) -> None:
        fleet = self.fleet
        assert next_look_s is None or next_look_s > self.now_s, "looks again without end"
        live = list(fleet.of(State.STARTING, State.READY))
        if fleet.mode is not Mode.RUNNING:
            assert not live
            assert fleet.workers or fleet.mode is Mode.PAUSED
            return
        assert len(live) <= fleet.wanted + 1
        assert sum(worker.replaces is not None for worker in fleet.of(State.STARTING)) <= 1
        starting = Counter(worker.slot for worker in fleet.of(State.STARTING))
        assert all(number == 1 for number in starting.values()), "two workers start for one slot"
        accepting = [worker for worker in live if worker.is_accepting]
        for slot in range(fleet.slots):
            if not any(worker.slot == slot for worker in accepting):
                assert all(slot in worker.adopts for worker in accepting), f"nobody looks after slot {slot}"
            else:
                assert all(slot not in worker.adopts for worker in live), f"slot {slot} is not given back"

    # What a test wants to know

    def accepting(self) -> int:
        return sum(worker.is_accepting for worker in self.fleet.workers.values())

    def ready(self) -> list[Worker]:
        return list(self.fleet.of(State.READY))

    def of(self, *kinds: type[Action]) -> list[Action]:
        return [action for _, action in self.actions if isinstance(action, kinds)]

    def spawns(self, since_s: float, until_s: float) -> list[Spawn]:
        return [action for at_s, action in self.actions if isinstance(action, Spawn) and since_s <= at_s < until_s]

    def run_watching(self, for_s: float, step_s: float = 0.05) -> int:
        """Let time pass; the fewest workers that were accepting at any moment of it."""
        fewest = self.accepting()
        end_s = self.now_s + for_s
        while self.now_s < end_s:
            self.run(step_s)
            fewest = min(fewest, self.accepting())
        return fewest

    def kill(self, nth: int) -> None:
        """Somebody kills a worker."""
        if pids := sorted(self.fleet.workers):
            self.fleet.note_gone(pids[nth % len(pids)], self.now_s, was_killed=True)

    def crash(self, nth: int) -> None:
        if pids := sorted(self.fleet.workers):
            self.fleet.note_gone(pids[nth % len(pids)], self.now_s, "segmentation fault")

    def note(self, what: str, nth: int) -> None:
        """A note about one worker."""
        pids = sorted(self.fleet.workers)
        pid = pids[nth % len(pids)] if pids else 0
        if what == "worn":
            self.fleet.note_worn(pid, "max_requests")
        elif what == "stalled":
            self.fleet.note_stalled(pid)
        elif what == "hung":
            self.fleet.note_hung(pid)
        elif what == "moving":
            self.fleet.note_moving(pid)


# Random lives

seconds = st.floats(0.0, 30.0)
codes = st.builds(
    Code,
    boot_s=st.sampled_from([0.0, 0.2, 1.0, 10.0, 30.0]),
    outcome=st.sampled_from(["ready", "ready", "ready", "failed", "crash", "silent"]),
    lives_s=st.sampled_from([0.0, 0.0, 0.1, 15.0]),
    retire_s=st.sampled_from([0.0, 2.0, 35.0, -1.0]),
    stop_s=st.sampled_from([0.0, 0.5, 20.0, -1.0]),
    abort_s=st.sampled_from([0.0, 0.1, -1.0]),
)
number = st.integers(0, 7)
events = st.one_of(
    st.tuples(st.just("code"), codes),
    st.tuples(st.just("reload"), st.none()),
    st.tuples(st.just("scale"), st.integers(1, 6)),
    st.tuples(st.sampled_from(["kill", "crash"]), number),
    st.tuples(st.sampled_from(["worn", "stalled", "hung", "moving"]), number),
    st.tuples(st.just("fork"), st.booleans()),
    st.tuples(st.just("pause"), st.none()),
)


def happen(world: World, what: str, value: object) -> None:
    if isinstance(value, Code):
        world.code = value
    elif what == "fork":
        world.can_fork = bool(value)
    elif what == "reload":
        world.fleet.ask_reload(world.now_s)
    elif what == "pause":
        world.fleet.ask_pause()
    elif isinstance(value, int):
        if what == "scale":
            world.fleet.ask_scale(value)
        elif what in ("kill", "crash"):
            world.kill(value) if what == "kill" else world.crash(value)
        else:
            world.note(what, value)


@settings(max_examples=300, deadline=None)
@given(
    wanted=st.integers(1, 5),
    first=codes,
    life=st.lists(st.tuples(seconds, events), max_size=25),
    end=st.sampled_from([Fleet.ask_stop, Fleet.ask_abort, Fleet.ask_hand_over]),
)
def test_whatever_happens_the_fleet_is_in_order_and_comes_to_an_end(wanted, first, life, end) -> None:
    world = World(wanted, first)
    for pause_s, (what, value) in life:
        world.run(pause_s)
        happen(world, what, value)
        world.settle()
    end(world.fleet)
    world.run(RULES.retire_s + RULES.graceful_s + RULES.cancel_s + 10 * RULES.margin_s)
    assert world.is_finished
    assert world.now_s < 1e6


@settings(max_examples=100, deadline=None)
@given(life=st.lists(st.tuples(seconds, events), max_size=15), wanted=st.integers(1, 4))
def test_whatever_happened_good_code_and_a_reload_bring_everything_back(life, wanted) -> None:
    world = World(wanted)
    world.run(2.0)
    for pause_s, (what, value) in life:
        world.run(pause_s)
        happen(world, what, value)
        world.settle()
    if world.fleet.mode is Mode.STOPPING or world.fleet.mode is Mode.ABORTING:
        return  # it had given up
    world.code, world.can_fork = Code(), True
    for pid in list(world.fleet.workers):
        world.fleet.note_moving(pid)
    generation = world.fleet.ask_reload(world.now_s)
    world.run(400.0)
    assert world.fleet.reload is None
    assert sorted(worker.slot for worker in world.ready()) == list(range(world.fleet.wanted))
    assert {worker.generation for worker in world.ready()} == {generation}


@settings(max_examples=100, deadline=None)
@given(
    wanted=st.integers(1, 5),
    boot_s=st.sampled_from([0.0, 0.3, 2.0]),
    life=st.lists(st.tuples(st.floats(0.0, 5.0), st.sampled_from(["worn", "reload"]), number), max_size=20),
)
def test_without_crashes_capacity_is_never_below_what_is_wanted(wanted, boot_s, life) -> None:
    world = World(wanted, Code(boot_s=boot_s))
    world.run(boot_s + 0.1)
    for pause_s, what, nth in life:
        assert world.run_watching(pause_s, 0.1) >= wanted
        happen(world, what, nth)
    assert world.run_watching(30.0, 0.5) >= wanted


# Named lives


def test_a_crash_loop_costs_few_processes() -> None:
    for code in (Code(0.0, "crash"), Code(0.1, "failed"), Code(3.0, "crash"), Code(0.1, lives_s=0.01)):
        world = World(4)
        world.run(60.0)
        world.code = code
        begin_s = world.now_s
        for nth in range(4):
            world.kill(nth)
        world.run(60.0)
        assert 4 <= len(world.spawns(begin_s, begin_s + 60)) <= 20


def test_a_query_of_death_never_ends_the_server() -> None:
    world = World(4, Code(0.5, lives_s=0.2))
    world.run(3600.0)
    assert not world.of(GiveUp)
    world.code = Code()
    world.run(4 * RULES.longest_early_retry_s + 5.0)
    assert world.accepting() == 4


def test_broken_code_at_the_first_start_ends_with_its_code_at_once() -> None:
    world = World(4, Code(0.3, "failed"))
    world.run(5.0)
    assert world.of(Finish) == [Finish(3)]
    assert len(world.of(Spawn)) == 4


def test_code_that_breaks_while_serving_ends_the_server_only_when_nobody_is_left() -> None:
    world = World(2)
    world.run(20.0)
    world.code = Code(0.1, "failed")
    world.kill(0)
    world.run(900.0)
    assert world.accepting() == 1
    world.kill(0)
    world.run(900.0)
    assert world.of(GiveUp, Finish) == [GiveUp(3, world.of(GiveUp)[0].reason), Finish(3)]


def test_a_killed_worker_is_back_as_soon_as_it_can_boot() -> None:
    world = World(4, Code(boot_s=0.3))
    world.run(1.0)
    for nth in range(600):
        world.kill(nth * 7)
        world.run(0.5)
        assert world.accepting() == 4
    assert len(world.of(Spawn)) == 604


def test_a_hundred_reloads_on_top_of_each_other_lose_no_capacity_and_end() -> None:
    world = World(4, Code(boot_s=0.2))
    world.run(1.0)
    for _ in range(100):
        world.fleet.ask_reload(world.now_s)
        assert world.run_watching(0.1) == 4
    assert world.run_watching(60.0) == 4
    assert world.fleet.reload is None
    assert {worker.generation for worker in world.ready()} == {world.fleet.generation}


def test_a_broken_reload_leaves_every_old_worker_alone() -> None:
    for code in (Code(0.1, "failed"), Code(0.1, "crash"), Code(0.1, "silent")):
        world = World(4)
        world.run(20.0)
        before = world.ready()
        world.code = code
        world.fleet.ask_reload(world.now_s)
        assert world.run_watching(100.0) == 4
        assert world.ready() == before
        assert len(world.of(AbandonReload)) == 1
        assert not world.of(CompleteReload, Retire)


def test_all_worn_at_once_are_replaced_one_after_another() -> None:
    world = World(4, Code(boot_s=2.0))
    world.run(3.0)
    for nth in range(4):
        world.note("worn", nth)
    assert world.run_watching(20.0) == 4
    assert world.fleet.count(State.READY) == 4
    assert len(world.of(Retire)) == 4
    assert [at_s for at_s, action in world.actions if isinstance(action, Retire)] == [5.0, 7.0, 9.0, 11.0]


def test_streams_that_never_end_neither_block_recycling_nor_pile_up() -> None:
    world = World(2, Code(boot_s=0.5, retire_s=-1.0, stop_s=-1.0))
    world.run(3.0)
    for _ in range(60):
        world.note("worn", world.fleet.count(State.RETIRING, State.STOPPING))
        world.run(5.0)
        assert world.fleet.count(State.RETIRING) <= 2
        assert world.accepting() >= 2
    world.run(100.0)
    assert world.fleet.count(State.RETIRING, State.STOPPING) == 0


def test_a_stop_ends_even_when_nobody_obeys() -> None:
    deaf = Code(retire_s=-1.0, stop_s=-1.0, abort_s=-1.0)
    for ask, bound_s in ((Fleet.ask_stop, 34.0), (Fleet.ask_abort, 6.0)):
        world = World(4, deaf)
        world.run(2.0)
        ask(world.fleet)
        world.run(bound_s)
        assert world.of(Finish) == [Finish(0)]
        assert len(world.of(Kill)) == 4


def test_a_stop_during_the_boot_does_not_wait_for_it() -> None:
    world = World(2, Code(boot_s=15.0, stop_s=-1.0))
    world.run(1.0)
    world.fleet.ask_stop()
    world.run(10.0)
    assert world.is_finished


def test_a_boot_without_end_is_a_failed_boot() -> None:
    world = World(1, Code(outcome="silent", stop_s=-1.0, abort_s=-1.0))
    world.run(300.0)
    assert world.of(GiveUp, Finish) == [GiveUp(3, "5 workers in a row did not become ready"), Finish(3)]
    signals = [action.signal for action in world.of(Kill) if isinstance(action, Kill)]
    assert signals[:2] == [SIGABRT, SIGKILL]


def test_a_machine_without_processes_left_keeps_who_serves_and_recovers() -> None:
    world = World(4)
    world.run(20.0)
    world.can_fork = False
    world.kill(0)
    world.fleet.ask_reload(world.now_s)
    world.run(60.0)
    assert world.accepting() == 3
    world.can_fork = True
    world.run(60.0)
    assert world.accepting() == 4
    assert len(world.of(CompleteReload)) == 1
