"""Sections A of the catalogue on real sockets: the parser's corpus, in every delivery, to both kinds of application."""

from __future__ import annotations

import pytest

from tests.threats.stage import Stage
from tests.threats.wire import Outcome, deliver, deliver_cut, deliveries
from tests.unit.wire.corpus import chunks, framing, lines, requests
from tests.unit.wire.corpus.case import Case

CASES = [*framing.CASES, *chunks.CASES, *lines.CASES, *requests.CASES]


def _marked(case: Case) -> object:
    sent = repr(case.data if len(case.data) <= 160 else case.data[:120])[2:-1] + (
        "" if len(case.data) <= 160 else f" and so on, {len(case.data):,} bytes"
    )
    called = sum(request.method != "*" for request in case.requests)
    verdict = f"{case.status}, closed" if case.status else f"{called} request{'s' * (called != 1)} to the application"
    return pytest.param(
        case, id=case.id[:60], marks=pytest.mark.threat(case.id[:5], sent=sent, verdict=verdict)
    )  # fmt: skip


@pytest.mark.parametrize("case", [_marked(case) for case in CASES])
def test_verdict(case: Case, stage: Stage) -> None:
    stage.events()
    with stage.attacked():
        for delivery in deliveries(case.data):
            _check(case, deliver(stage, delivery), delivery.before, delivery.name == "before the canary")
        for outcome in deliver_cut(stage, case.data):
            _check(case, outcome, 0, False)
    assert not [call for call in stage.calls() if call["path"] == "/canary" and case.status]


def _check(case: Case, outcome: Outcome, before: int, has_canary: bool) -> None:
    assert outcome.statuses[:before] == [200] * before
    statuses = outcome.statuses[before:]
    if case.status:
        assert statuses == [200] * sum(r.method != "*" for r in case.requests) + [case.status]
    else:
        assert statuses == [200] * (len(case.requests) + has_canary)
