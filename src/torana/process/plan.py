"""What to do now about the workers: one pure function, ``decide``, from the table and the clock to actions.

The plan has no memory and acts on levels, not on events: it looks at how things are and says what is wrong with them.
Each mode has its rules, in order of urgency. The first rule with something to do is the answer; the supervisor does it,
notes it in the fleet and asks again at once, so that every rule sees a table in which nothing is half done:

    while (decision := decide(fleet, now_s, rules)).actions:
        for action in decision.actions:
            ...carry it out...
            fleet.note_action(action, now_s)
    ...wait for an event, or until decision.next_look_s...

Never here: a clock, a process, a log. Nothing is sent twice, since every action changes what its rule looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from signal import SIGABRT, SIGKILL
from typing import TypeAlias

from msgspec import Struct

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
from torana.process.exit_codes import FAILED, NOT_LOADED
from torana.process.fleet import Fleet, Worker
from torana.process.options import RunOptions
from torana.process.states import Mode, State


class Rules(Struct, frozen=True):
    """Times in seconds and bounds that the plan goes by. A 0 in the first four means: no bound."""

    boot_s: float = 600.0
    retire_s: float = 300.0
    graceful_s: float = 25.0
    cancel_s: float = 3.0
    drain_delay_s: float = 0.0
    #: Beyond what a worker was given, before it is killed.
    margin_s: float = 5.0
    #: From the dump of a worker that hangs to its SIGABRT, and from there to SIGKILL.
    dump_s: float = 2.0
    abort_s: float = 5.0
    #: After a failed boot the next one waits, twice as long each time.
    retry_s: float = 0.1
    longest_retry_s: float = 30.0
    #: The same for workers that die young; shorter, since a request that kills may come from outside.
    longest_early_retry_s: float = 5.0
    #: How long such a setback is held against the next spawn.
    forget_s: float = 60.0
    #: Boots that may fail in a row: before the first worker was ever ready, and later, when none is left.
    first_boots: int = 5
    later_boots: int = 10
    #: Workers that may be retiring when another is to be replaced; 0: one a slot, at least two.
    retiring_limit: int = 0
    #: A retiring worker is left alone for this long, whatever the limit: its clients are told on their next request.
    undisturbed_s: float = 10.0

    @classmethod
    def of(cls, options: RunOptions) -> Rules:
        """The rules that a run's options come to."""
        timeouts = options.serve.timeouts
        return cls(
            boot_s=options.process.boot_s,
            retire_s=options.process.retire_s,
            graceful_s=timeouts.graceful_s,
            cancel_s=timeouts.cancel_s,
            drain_delay_s=timeouts.drain_delay_s,
            # The application has as long for its goodbyes as for its shutdown.
            margin_s=5.0 + 2 * options.gateway.lifespan_shutdown_timeout_s,
        )


class Decision(Struct, frozen=True):
    """What to do now, and when to look again if nothing happens before; None: only when something happens."""

    actions: tuple[Action, ...] = ()
    next_look_s: float | None = None


class Look(Struct):
    """One look at the fleet: what the rules are given, and the times that they want to look again."""

    fleet: Fleet
    now_s: float
    rules: Rules
    later: list[float] = []

    def is_due(self, at_s: float) -> bool:
        """Whether that time has come; if it has not, the next look is no later than it."""
        if self.now_s >= at_s:
            return True
        self.later.append(at_s)
        return False


Rule: TypeAlias = Callable[[Look], Iterable[Action]]


def decide(fleet: Fleet, now_s: float, rules: Rules) -> Decision:
    """What is to be done at ``now_s`` (monotonic seconds), and when to ask next."""
    look = Look(fleet, now_s, rules)
    for rule in RULES[fleet.mode]:
        if actions := tuple(rule(look)):
            return Decision(actions, now_s)
    return Decision((), min(look.later, default=None))


# Ending what does not end by itself


def end_what_hangs(look: Look) -> Iterable[Action]:
    """A worker in which nothing moves, or that does not get ready, shows its stacks and is then aborted.

    First the stacks: without them nobody learns why. If it moves again before the signal, it lives.
    """
    for worker in look.fleet.of(State.STARTING, State.READY, State.RETIRING):
        why = _hang(worker, look)
        if not why:
            continue
        if worker.dumped_s is None:
            yield Dump(worker.pid, why)
        elif look.is_due(worker.dumped_s + look.rules.dump_s):
            yield Kill(worker.pid, SIGABRT, why)


def _hang(worker: Worker, look: Look) -> str:
    boot_s = look.rules.boot_s
    if worker.state is State.STARTING and boot_s and look.is_due(worker.spawned_s + boot_s):
        return f"it was not ready after {boot_s:g} s"
    return worker.why_hung


def kill_the_overdue(look: Look) -> Iterable[Action]:
    """A worker that was told to end has a time for it, and is killed when it took longer."""
    for worker in look.fleet.of(State.RETIRING, State.STOPPING):
        if worker.killed_s is None and look.is_due(_end_s(worker, look.rules)):
            yield Kill(worker.pid, SIGKILL, "it did not end in time")


def _end_s(worker: Worker, rules: Rules) -> float:
    """When a worker that was told to end must have ended."""
    if worker.aborted_s is not None:
        return worker.aborted_s + rules.abort_s
    stop_s = rules.cancel_s + rules.margin_s
    if worker.ready_s is not None:  # otherwise it has no client to finish with
        stop_s += rules.drain_delay_s + rules.graceful_s
    if worker.state is State.RETIRING:
        stop_s += rules.retire_s
    return worker.since_s + stop_s


# Giving up, and reloads


def give_up(look: Look) -> Iterable[Action]:
    """An application that never worked, or no longer does, ends the server: whoever started it must know.

    What a worker says itself (code 2, 3, 4) will not change by trying again; a crash at boot might.
    """
    fleet, rules = look.fleet, look.rules
    if not fleet.has_been_ready and fleet.failure is not None and fleet.failure.code > FAILED:
        yield GiveUp(fleet.failure.code, "the application cannot be served")
        return
    bound = rules.later_boots if fleet.has_been_ready else rules.first_boots
    if fleet.boot_failures >= bound and not fleet.count(State.READY):
        yield GiveUp(NOT_LOADED, f"{fleet.boot_failures} workers in a row did not become ready")


def abandon_reload(look: Look) -> Iterable[Action]:
    """One worker of the new generation that fails is enough: the old generation stays as it is."""
    reload = look.fleet.reload
    if reload is not None and reload.failure:
        yield AbandonReload(reload.generation, reload.failure)


def drop_reload(look: Look) -> Iterable[Action]:
    """A reload does not go on when the workers are sent away; whoever waits for it must hear so."""
    if look.fleet.reload is not None:
        yield AbandonReload(look.fleet.reload.generation, f"the server is {look.fleet.mode.value}")


def complete_reload(look: Look) -> Iterable[Action]:
    """A reload is over when every slot has a ready worker of the new generation and no other is left in it."""
    fleet = look.fleet
    if fleet.reload is None:
        return
    current = list(fleet.of(State.STARTING, State.READY))
    is_new = all(worker.generation == fleet.generation for worker in current)
    ready = {worker.slot for worker in current if worker.state is State.READY}
    if is_new and ready.issuperset(range(fleet.wanted)):
        yield CompleteReload(fleet.generation)


# Fewer workers


def retire_the_replaced(look: Look) -> Iterable[Action]:
    """The replacement is ready, so the old worker may go: never before."""
    workers = look.fleet.workers
    for worker in look.fleet.of(State.READY):
        old = workers.get(worker.replaces) if worker.replaces is not None else None
        if old is not None and old.state is State.READY:
            yield Retire(old.pid, old.worn or "replaced")


def leave_slots(look: Look) -> Iterable[Action]:
    """Fewer workers are wanted: the highest slots lose theirs. The siblings adopt the queues."""
    for worker in look.fleet.of(State.STARTING, State.READY):
        if worker.slot >= look.fleet.wanted:
            yield _send_off(worker, "fewer workers are wanted")


def retire_all(look: Look) -> Iterable[Action]:
    """Nobody is to serve here for now, or any more; what is under way gets finished."""
    for worker in look.fleet.of(State.STARTING, State.READY):
        yield _send_off(worker, look.fleet.mode.value, with_all=True)


def _send_off(worker: Worker, why: str, with_all: bool = False) -> Action:
    """A worker that was never ready has nothing to finish."""
    return Retire(worker.pid, why, with_all) if worker.state is State.READY else Stop(worker.pid, why)


def stop_all(look: Look) -> Iterable[Action]:
    """The server stops: every worker has the time of a graceful stop."""
    for worker in look.fleet.of(State.STARTING, State.READY, State.RETIRING):
        yield Stop(worker.pid)


def abort_all(look: Look) -> Iterable[Action]:
    """The server ends at once."""
    for worker in look.fleet.workers.values():
        if worker.aborted_s is None and worker.killed_s is None:
            yield Abort(worker.pid)


def finish(look: Look) -> Iterable[Action]:
    """The last worker is gone; or what is left outlived SIGKILL, which only the kernel can end."""
    if all(_is_beyond_us(worker, look) for worker in list(look.fleet.workers.values())):
        yield Finish(look.fleet.exit_code)


def _is_beyond_us(worker: Worker, look: Look) -> bool:
    return worker.killed_s is not None and look.is_due(worker.killed_s + look.rules.margin_s)


# More workers


def fill_slots(look: Look) -> Iterable[Action]:
    """A slot without a worker gets one; after a setback one at a time, further and further apart."""
    fleet = look.fleet
    if fleet.is_preloading:
        return
    taken = {worker.slot for worker in fleet.of(State.STARTING, State.READY)}
    for slot in range(fleet.wanted):
        if slot not in taken:
            if look.is_due(_next_spawn_s(look)):
                yield Spawn(slot, fleet.generation, None)
            return


def replace_one(look: Look) -> Iterable[Action]:
    """One worker at a time is replaced: its successor starts beside it and takes over when it is ready."""
    if look.fleet.is_preloading or any(worker.replaces is not None for worker in look.fleet.of(State.STARTING)):
        return
    for worker, why in _replaceable(look):
        if not _has_room(look):
            yield from _make_room(look)
        elif look.is_due(_next_spawn_s(look)):
            yield Spawn(worker.slot, look.fleet.generation, worker.pid, why)
        return


def _replaceable(look: Look) -> Iterable[tuple[Worker, str]]:
    """Workers to be replaced, with the reason: first those that said so themselves."""
    reasons: tuple[Callable[[Worker, Look], str], ...] = (_worn, _too_large, _outdated, _too_old)
    for reason in reasons:
        for worker in look.fleet.of(State.READY):
            if why := reason(worker, look):
                yield worker, why


def _worn(worker: Worker, look: Look) -> str:
    return worker.worn


def _too_large(worker: Worker, look: Look) -> str:
    if 0 < worker.max_rss_bytes < worker.rss_bytes:
        return f"it takes {worker.rss_bytes >> 20} MiB of memory, more than {worker.max_rss_bytes >> 20}"
    return ""


def _outdated(worker: Worker, look: Look) -> str:
    return "reload" if look.fleet.reload is not None and worker.generation != look.fleet.generation else ""


def _too_old(worker: Worker, look: Look) -> str:
    if worker.ready_s is not None and worker.lifetime_s and look.is_due(worker.ready_s + worker.lifetime_s):
        return "it reached its lifetime"
    return ""


def _has_room(look: Look) -> bool:
    limit = look.rules.retiring_limit or max(2, look.fleet.slots)
    return look.fleet.count(State.RETIRING) < limit


def _make_room(look: Look) -> Iterable[Action]:
    """Long streams must not pile up old workers, nor keep new ones from coming: the oldest is told to stop."""
    oldest = min(look.fleet.of(State.RETIRING), key=lambda worker: worker.since_s)
    if look.is_due(oldest.since_s + look.rules.undisturbed_s):
        yield Stop(oldest.pid, "too many workers are retiring")


def _next_spawn_s(look: Look) -> float:
    """Before this, no worker is spawned: a crash loop must cost neither the machine nor the log."""
    fleet, rules = look.fleet, look.rules
    if fleet.setback_s is None or look.now_s >= fleet.setback_s + rules.forget_s:
        return look.now_s
    delay_s = max(
        _back_off_s(fleet.boot_failures + fleet.spawn_failures, rules.retry_s, rules.longest_retry_s),
        _back_off_s(fleet.early_deaths, rules.retry_s, rules.longest_early_retry_s),
    )
    return max(fleet.setback_s, fleet.spawned_s or 0.0) + delay_s


def _back_off_s(failures: int, first_s: float, longest_s: float) -> float:
    """``first_s`` after the first failure, then twice as long each time; nothing after none."""
    return min(first_s * 2.0 ** min(failures - 1, 60), longest_s) if failures else 0.0


# Queues that nobody looks after


def release_slots(look: Look) -> Iterable[Action]:
    """A slot whose own worker accepts again is left to it: an even load needs a queue for each."""
    ready = list(look.fleet.of(State.READY))
    for slot in sorted({worker.slot for worker in ready if worker.is_accepting}):
        if pids := tuple(worker.pid for worker in ready if slot in worker.adopts):
            yield Release(slot, pids)


def adopt_slots(look: Look) -> Iterable[Action]:
    """What waits in a slot that is vacant, scaled away or stalled is accepted by all who can."""
    accepting = [worker for worker in look.fleet.of(State.READY) if worker.is_accepting]
    vacant = set(range(look.fleet.slots)) - {worker.slot for worker in accepting}
    for slot in sorted(vacant):
        if pids := tuple(worker.pid for worker in accepting if slot not in worker.adopts):
            yield Adopt(slot, pids)


#: What is looked after in each mode, most urgent first.
RULES: dict[Mode, tuple[Rule, ...]] = {
    Mode.RUNNING: (
        give_up,
        abandon_reload,
        end_what_hangs,
        kill_the_overdue,
        retire_the_replaced,
        leave_slots,
        release_slots,
        adopt_slots,
        complete_reload,
        fill_slots,
        replace_one,
    ),
    Mode.PAUSED: (drop_reload, retire_all, end_what_hangs, kill_the_overdue),
    Mode.HANDED_OVER: (drop_reload, retire_all, end_what_hangs, kill_the_overdue, finish),
    Mode.STOPPING: (drop_reload, stop_all, kill_the_overdue, finish),
    Mode.ABORTING: (drop_reload, abort_all, kill_the_overdue, finish),
}
