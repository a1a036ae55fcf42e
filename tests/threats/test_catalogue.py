"""The catalogue is whole: every number is shown by a test, or says what it waits for; the page tells it as it is."""

from __future__ import annotations

import functools

import pytest

from tests.support.server import REPOSITORY
from tests.support.threat_marks import Claim
from tests.threats.catalogue import BY_ID, Threat
from tests.threats.page import collected, page


@functools.cache
def _claims() -> list[Claim]:
    return collected()


def test_numbers_are_complete() -> None:
    assert list(BY_ID) == [f"G-{number:03}" for number in range(1, 109)]


def test_claims_are_known() -> None:
    assert {claim.threat for claim in _claims()} <= BY_ID.keys()


@pytest.mark.parametrize("threat", BY_ID.values(), ids=lambda threat: threat.id)
def test_every_threat_is_shown_or_waits(threat: Threat) -> None:
    is_shown = any(claim.threat == threat.id for claim in _claims())
    assert is_shown != bool(threat.waits_for)


def test_page_is_current() -> None:
    kept = (REPOSITORY / "docs/security/cases.md").read_text()
    assert kept == page(_claims()), "renew it: python -m tests.threats.page > docs/security/cases.md"
