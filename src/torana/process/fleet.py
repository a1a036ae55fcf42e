"""The workers as the supervisor knows them: the table that the plan reads, and the notes that keep it true.

Every event is noted here as it happens and every action as it is taken; what to do about it is the plan's to say.
Never here: a clock, a process, a decision. Times are seconds of the monotonic clock, passed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from signal import SIGKILL

from msgspec import Struct

from torana.process.actions import (
    AbandonReload,
    Abort,
    Action,
    Adopt,
    CompleteReload,
    Dump,
    GiveUp,
    Kill,
    Release,
    Retire,
    Stop,
)
from torana.process.states import Mode, State, can_become, can_turn

#: A worker that was ready for less than this and then died by itself speaks against trying again at once.
EARLY_S = 10.0


class Worker(Struct):
    """A row of the table: one process, from its fork until it was waited for."""

    pid: int
    #: Which listeners it takes from first; two workers share a slot while one replaces the other.
    slot: int
    #: Which reload it belongs to.
    generation: int
    spawned_s: float
    #: The worker it takes over from once it is ready, as long as that one lives.
    replaces: int | None = None
    #: Replaced at this age (seconds since it was ready) and beyond this size; 0 never. Drawn with jitter by the caller.
    lifetime_s: float = 0.0
    max_rss_bytes: int = 0
    rss_bytes: int = 0

    state: State = State.STARTING
    #: When it came to this state.
    since_s: float = 0.0
    ready_s: float | None = None
    #: Why it wants a replacement, in a word or a sentence; "" when it does not.
    worn: str = ""
    #: Work waits and nothing has moved for a while: others look after its queue.
    is_stalled: bool = False
    #: Nothing has moved for so long that it is to be ended, for this reason; "" when it is not.
    why_hung: str = ""
    #: When it was told to show its stacks, sent SIGABRT (or told to end at once), and sent SIGKILL.
    dumped_s: float | None = None
    aborted_s: float | None = None
    killed_s: float | None = None
    #: Slots of others that it was told to accept from.
    adopts: set[int] = set()

    @property
    def is_accepting(self) -> bool:
        """Whether connections of its slot are taken without delay, as far as is known."""
        return self.state is State.READY and not self.is_stalled

    @property
    def is_hung(self) -> bool:
        """Whether it is to be ended because nothing moves in it."""
        return self.why_hung != ""


class Reload(Struct):
    """A reload under way."""

    #: The generation it leads to, and the one that remains if it fails.
    generation: int
    before: int
    since_s: float
    #: Why a worker of the new generation did not become ready; "" while all is well.
    failure: str = ""


class Failure(Struct, frozen=True):
    """Why the application cannot be served, in the words of a worker that tried."""

    code: int
    text: str


class Fleet:
    """All the plan goes by. Attributes are for reading; the notes and requests below change them."""

    def __init__(self, wanted: int) -> None:
        self.mode = Mode.RUNNING
        #: How many workers there should be; they fill the slots 0 to ``wanted - 1``.
        self.wanted = wanted
        #: How many were asked for; it is more when the application bears only one.
        self.asked = wanted
        #: Of each generation that is known to: why its application bears only one worker; "" when it bears any number.
        self._bounds: dict[int, str] = {}
        #: How many slots were ever opened: one is never closed, for its queue would be lost.
        self.slots = wanted
        self.workers: dict[int, Worker] = {}
        #: The generation that new workers belong to.
        self.generation = 1
        self.reload: Reload | None = None
        self._newest_generation = 1
        #: Whether the process that workers of this generation are forked from still imports the application: until it
        #: has, there can be no worker. And the newest generation that such a process has begun to import, 0 without.
        self.is_preloading = False
        self.preloaded_generation = 0
        #: Whether the application was ever seen to work.
        self.has_been_ready = False
        #: The last thing that a worker said before it gave up on the application.
        self.failure: Failure | None = None
        #: In a row: boots that failed, forks that failed, workers that died by themselves soon after they were ready.
        self.boot_failures = 0
        self.spawn_failures = 0
        self.early_deaths = 0
        #: When the last of these happened, and when a worker was last spawned.
        self.setback_s: float | None = None
        self.spawned_s: float | None = None
        #: What the server's process will exit with.
        self.exit_code = 0

    # Questions

    def of(self, *states: State) -> Iterator[Worker]:
        """The workers in one of these states, in the order they were spawned."""
        return (worker for worker in self.workers.values() if worker.state in states)

    def count(self, *states: State) -> int:
        """How many workers are in one of these states."""
        return sum(1 for _ in self.of(*states))

    @property
    def adopted(self) -> set[int]:
        """The slots that some worker was told to accept from besides its own."""
        return {slot for worker in self.of(State.READY) for slot in worker.adopts}

    @property
    def why_one(self) -> str:
        """Why there may be only one worker, or "". Until it is known of new code, what held for the old one holds."""
        before = self.reload.before if self.reload is not None else 0
        return self._bounds.get(self.generation, self._bounds.get(before, ""))

    # What happened

    def note_bound(self, generation: int, why: str) -> bool:
        """The application of a generation bears only one worker, for this reason; or any number, with "".

        Returns whether another number is wanted now.
        """
        self._bounds[generation] = why
        return self._settle()

    def note_surplus(self, pid: int, why: str, now_s: float) -> bool:
        """The worker has seen that its application bears only one, which is not it: it ends, and that is no failure.

        Returns as ``note_bound``.
        """
        worker = self.workers.get(pid)
        if worker is None:
            return False
        if worker.state is State.STARTING:
            self._move(worker, State.STOPPING, now_s)
        return self.note_bound(worker.generation, why)

    def _settle(self) -> bool:
        before = self.wanted
        self.wanted = 1 if self.why_one else self.asked
        self.slots = max(self.slots, self.wanted)
        return self.wanted != before

    def note_spawned(
        self,
        slot: int,
        pid: int,
        generation: int,
        replaces: int | None,
        now_s: float,
        lifetime_s: float = 0.0,
        max_rss_bytes: int = 0,
    ) -> Worker:
        """A ``Spawn`` was carried out."""
        worker = Worker(pid, slot, generation, now_s, replaces, lifetime_s, max_rss_bytes, since_s=now_s)
        self.workers[pid] = worker
        self.spawned_s = now_s
        self.spawn_failures = 0
        return worker

    def note_spawn_failed(self, now_s: float) -> None:
        """A ``Spawn`` could not be carried out: no process, no memory. That says nothing about the application."""
        self.spawn_failures += 1
        self.setback_s = now_s

    def note_ready(self, pid: int, now_s: float) -> None:
        """The worker says that it takes connections. Late news (it was told to stop meanwhile) change nothing."""
        worker = self.workers.get(pid)
        if worker is None or worker.state is not State.STARTING:
            return
        self._move(worker, State.READY, now_s)
        worker.ready_s = now_s
        self.has_been_ready = True
        worker.dumped_s = None
        self.boot_failures = 0

    def note_failed(self, pid: int, code: int, text: str, now_s: float) -> bool:
        """The worker says that it cannot become ready, and will end.

        Returns whether ``text`` is news, since all workers tend to fail alike and one traceback is enough.
        """
        worker = self.workers.get(pid)
        if worker is None or worker.state is not State.STARTING:
            return False
        is_news = self.failure is None or self.failure.text != text
        self.failure = Failure(code, text)
        self._fail_boot(worker.generation, text, now_s)
        self._move(worker, State.STOPPING, now_s)
        return is_news

    def note_preload_failed(self, generation: int, code: int, text: str, now_s: float) -> bool:
        """The process that workers are forked from could not import the application. As ``note_failed``."""
        is_news = self.failure is None or self.failure.text != text
        self.failure = Failure(code, text)
        self._fail_boot(generation, text, now_s)
        return is_news

    def note_worn(self, pid: int, why: str) -> None:
        """The worker should be replaced, for this reason. The first reason stays."""
        worker = self.workers.get(pid)
        if worker is not None and not worker.worn:
            worker.worn = why

    def note_size(self, pid: int, rss_bytes: int) -> None:
        """The memory of the worker was measured."""
        worker = self.workers.get(pid)
        if worker is not None:
            worker.rss_bytes = rss_bytes

    def note_moving(self, pid: int) -> None:
        """The worker moves, or has nothing to do; what it was suspected of is forgotten."""
        self._suspect(pid, is_stalled=False)

    def note_stalled(self, pid: int) -> None:
        """Work waits in the worker and nothing moves; too early to say that it hangs."""
        self._suspect(pid, is_stalled=True)

    def note_hung(self, pid: int, why: str = "") -> None:
        """Work waits in the worker and nothing moved for the whole of the time that is allowed."""
        self._suspect(pid, is_stalled=True, why_hung=why or "work waits in it and nothing moves")

    def _suspect(self, pid: int, is_stalled: bool, why_hung: str = "") -> None:
        worker = self.workers.get(pid)
        if worker is None or worker.state is State.STARTING:  # boot time is not run time
            return
        worker.is_stalled = is_stalled
        worker.why_hung = why_hung
        if not why_hung:
            worker.dumped_s = None

    def note_gone(self, pid: int, now_s: float, why: str = "", was_killed: bool = False) -> Worker | None:
        """The process has ended (it was waited for). Returns its row, or None if it was not a worker.

        ``was_killed`` says that somebody outside did it, so that it tells nothing about the application.
        """
        worker = self.workers.pop(pid, None)
        if worker is None:
            return None
        for other in self.workers.values():
            if other.replaces == pid:
                other.replaces = None  # the number may come again, as another process
        if not was_killed:
            self._note_own_death(worker, why, now_s)
        self._move(worker, State.GONE, now_s)
        return worker

    def _note_own_death(self, worker: Worker, why: str, now_s: float) -> None:
        if worker.state is State.STARTING:
            self._fail_boot(worker.generation, why or "it ended before it was ready", now_s)
        elif worker.state is State.READY and worker.ready_s is not None:
            if now_s - worker.ready_s >= EARLY_S:
                self.early_deaths = 0
            else:
                self.early_deaths += 1
                self.setback_s = now_s

    def _fail_boot(self, generation: int, why: str, now_s: float) -> None:
        self.boot_failures += 1
        self.setback_s = now_s
        if self.reload is not None and generation == self.reload.generation:
            self.reload.failure = self.reload.failure or why

    # What is asked for

    def ask_reload(self, now_s: float) -> int:
        """Replace all workers, one after another; also ends a pause. Returns the generation that will serve then."""
        if self.mode is Mode.PAUSED:
            self.mode = Mode.RUNNING
        if self.mode is not Mode.RUNNING or self._is_reload_untried():
            return self.generation
        before = self.reload.before if self.reload is not None else self.generation
        self._newest_generation += 1
        self.generation = self._newest_generation
        self.reload = Reload(self.generation, before, now_s)
        # Whoever asks has changed something: what failed before may work now.
        self.boot_failures = self.spawn_failures = self.early_deaths = 0
        self.failure = None
        return self.generation

    def _is_reload_untried(self) -> bool:
        """Whether a reload was asked for and nobody has read the new code yet: another one changes nothing."""
        if self.reload is None or self.preloaded_generation == self.generation:
            return False
        return not any(worker.generation == self.generation for worker in self.workers.values())

    def ask_scale(self, wanted: int) -> None:
        """Have this many workers, at least 1, as soon as the application bears them. New slots need their listeners
        before the next decision.
        """
        self.asked = max(1, wanted)
        self._settle()

    def ask_pause(self) -> None:
        """Retire all workers and keep the listeners, until a reload is asked for."""
        self._turn(Mode.PAUSED)

    def ask_hand_over(self) -> None:
        """Another program took over the listeners: retire all workers, then finish."""
        self._turn(Mode.HANDED_OVER)

    def ask_stop(self) -> None:
        """Stop all workers gracefully, then finish."""
        self._turn(Mode.STOPPING)

    def ask_abort(self) -> None:
        """End all workers at once, then finish."""
        self._turn(Mode.ABORTING)

    # What was done about it

    def note_action(self, action: Action, now_s: float) -> None:
        """An action of the plan was carried out, or came too late for a process that has just ended: the same to us."""
        match action:
            case Retire(pid):
                self._tell(pid, State.RETIRING, now_s)
            case Stop(pid):
                self._tell(pid, State.STOPPING, now_s)
            case Dump(pid) if pid in self.workers:
                self.workers[pid].dumped_s = now_s
            case Abort(pid):
                self._note_aborted(pid, "it was told to end", now_s)
            case Kill(pid, signal, why):
                self._note_signalled(pid, signal, why, now_s)
            case Adopt(slot, pids):
                for worker in self._those(pids):
                    worker.adopts.add(slot)
            case Release(slot, pids):
                for worker in self._those(pids):
                    worker.adopts.discard(slot)
            case CompleteReload():
                self.reload = None
            case AbandonReload():
                self._abandon_reload()
            case GiveUp(code):
                self._give_up(code)

    def _those(self, pids: tuple[int, ...]) -> Iterator[Worker]:
        return (self.workers[pid] for pid in pids if pid in self.workers)

    def _tell(self, pid: int, state: State, now_s: float) -> None:
        worker = self.workers.get(pid)
        if worker is not None and can_become(worker.state, state):
            self._move(worker, state, now_s)

    def _note_signalled(self, pid: int, signal: int, why: str, now_s: float) -> None:
        if signal != SIGKILL:
            self._note_aborted(pid, why, now_s)
        elif pid in self.workers:
            self.workers[pid].killed_s = now_s
            self._tell(pid, State.STOPPING, now_s)

    def _note_aborted(self, pid: int, why: str, now_s: float) -> None:
        worker = self.workers.get(pid)
        if worker is None:
            return
        worker.aborted_s = now_s
        if worker.state is State.STARTING:
            self._fail_boot(worker.generation, why, now_s)
        self._tell(pid, State.STOPPING, now_s)

    def _abandon_reload(self) -> None:
        if self.reload is not None:
            self.generation = self.reload.before
            self.reload = None
            self._settle()

    def _give_up(self, code: int) -> None:
        self.exit_code = code
        is_serving = self.count(State.READY, State.RETIRING) > 0
        self._turn(Mode.STOPPING if is_serving else Mode.ABORTING)

    def _turn(self, mode: Mode) -> None:
        if can_turn(self.mode, mode):
            self.mode = mode

    def _move(self, worker: Worker, state: State, now_s: float) -> None:
        if not can_become(worker.state, state):
            raise ValueError(f"a worker cannot go from {worker.state.value} to {state.value}")
        worker.state = state
        worker.since_s = now_s
        if state is not State.READY:
            worker.adopts.clear()
