"""What a supervisor costs: Torana with one worker beside Torana without a supervisor, hello world, in turns."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from benchmarks import answer, load, start_time
from benchmarks.load import LoadFailedError
from benchmarks.machine import Cores
from benchmarks.outcome import ServerOutcome
from benchmarks.servers import SUPERVISED, TORANA, Launch
from benchmarks.spawn import ServerFailedError, free_port, running, shown
from benchmarks.works import Work

_WARM_UP_S = 1.0
_TURN_S = 1.0


@dataclass
class Overhead:
    """One interface: the samples and the seconds to the first answer of both."""

    interface: str
    supervised: ServerOutcome
    unsupervised: ServerOutcome
    starts_s: dict[str, list[float]] = field(default_factory=dict)
    problem: str = ""

    def both(self) -> tuple[ServerOutcome, ServerOutcome]:
        """In the order of the report."""
        return self.unsupervised, self.supervised


def measure(work: Work, cores: Cores, starts: int, turns: int, first_answers: int) -> Overhead:
    """Both are started `starts` times, side by side on one core, and each time loaded `turns` times, one by one."""
    command_of = Launch(work.app, work.interface, "PORT")
    both = (TORANA, SUPERVISED)
    entries = {server.name: ServerOutcome(server.name, shown(server, command_of)) for server in both}
    found = Overhead(work.interface, entries[SUPERVISED.name], entries[TORANA.name])
    found.starts_s = {server.name: [] for server in both}
    try:
        for _ in range(starts):
            _measure_start(work, cores, turns, entries)
        for index in range(first_answers + 1):
            for server in both:
                seconds = start_time.start_once(server, work, cores)
                # The first of each warms the page cache.
                if index:
                    found.starts_s[server.name].append(seconds)
    except (ServerFailedError, LoadFailedError) as error:
        found.problem = str(error)
    return found


def _measure_start(work: Work, cores: Cores, turns: int, entries: dict[str, ServerOutcome]) -> None:
    """One pair of processes. The one that is not asked sleeps: it takes nothing from the other."""
    with contextlib.ExitStack() as stack:
        pair = []
        for server in (TORANA, SUPERVISED):
            launch = Launch(work.app, work.interface, free_port())
            started = stack.enter_context(running(server, launch, cores.server))
            answer.check(started, work, None)
            load.run(started, work, _WARM_UP_S, cores.load)
            pair.append((started, entries[server.name]))
        for turn in range(turns):
            # Each goes first as often as the other.
            for started, entry in pair if turn % 2 else pair[::-1]:
                entry.samples.append(load.run(started, work, _TURN_S, cores.load))
