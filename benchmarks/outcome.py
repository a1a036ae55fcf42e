"""What a run found, as plain values: samples per server per row. Medians and ratios are worked out here, once."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.load import Sample
from benchmarks.servers import TORANA
from benchmarks.works import Target, Work

NOT_INSTALLED = "not installed"


@dataclass
class ServerOutcome:
    """One server in one row; `problem` says why there are no (more) samples, `note` what else to know."""

    name: str
    command: str
    samples: list[Sample] = field(default_factory=list)
    problem: str = ""
    note: str = ""

    def median(self, of: Callable[[Sample], float]) -> float:
        """The middle of all rounds."""
        return statistics.median(of(sample) for sample in self.samples)

    @property
    def requests_s(self) -> float:
        """The number the row is about."""
        return self.median(lambda sample: sample.requests_s)

    @property
    def server_cpu_us(self) -> float:
        """Processor time of one request, which a shared machine disturbs least."""
        return self.median(lambda sample: sample.server_cpu_us)

    @property
    def busy(self) -> float:
        """The share of one core that the server had."""
        return self.median(lambda sample: sample.busy)

    @property
    def spread(self) -> float:
        """(highest - lowest) / median."""
        rates = [sample.requests_s for sample in self.samples]
        return (max(rates) - min(rates)) / self.requests_s if self.requests_s else 0.0

    @property
    def errors(self) -> int:
        """Answers above 399 and socket errors of all rounds."""
        return sum(sample.bad_status + sample.socket_errors for sample in self.samples)


@dataclass
class WorkOutcome:
    """One row with all its servers, in the order they were run."""

    name: str
    title: str
    target: Target
    servers: list[ServerOutcome]
    unit: str = "request"
    units: str = "requests"

    @classmethod
    def of(cls, work: Work, servers: list[ServerOutcome]) -> WorkOutcome:
        """An empty row."""
        return cls(work.name, work.title, work.target, servers, work.unit, work.units)

    @property
    def torana(self) -> ServerOutcome | None:
        """Ours, if it was measured."""
        return next((s for s in self.servers if s.name == TORANA.name and s.samples), None)

    def peers(self) -> list[ServerOutcome]:
        """The measured others."""
        return [s for s in self.servers if s.name != TORANA.name and s.samples]

    def rival(self) -> ServerOutcome | None:
        """The fastest peer that the row's target names."""
        named = [s for s in self.peers() if not self.target.peers or s.name in self.target.peers]
        return max(named, key=lambda s: s.requests_s, default=None)

    def ratio(self, peer: ServerOutcome) -> float | None:
        """Torana's median over the peer's; None if there is none of ours."""
        ours = self.torana
        return ours.requests_s / peer.requests_s if ours and peer.requests_s else None
