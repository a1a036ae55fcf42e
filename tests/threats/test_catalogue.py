"""The catalogue is whole: every number is shown by a test, or says what it waits for; the page tells it as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.server import REPOSITORY
from tests.support.threat_marks import Claim, claims_of
from tests.threats.catalogue import BY_ID, Threat
from tests.threats.page import PLACES, collected, page


@pytest.fixture(scope="session")
def claims(request: pytest.FixtureRequest) -> list[Claim]:
    """Of the tests that this run has collected anyway, and of the others."""
    places = [place for place in PLACES if _is_collected(place, request.config)]
    at_hand = [claim for item in request.session.items for claim in claims_of(item)]
    found = [claim for claim in at_hand if claim.file.startswith(tuple(f"{place}/" for place in places))]
    return found + collected([place for place in PLACES if place not in places])


def _is_collected(place: str, config: pytest.Config) -> bool:
    if config.option.keyword or config.option.markexpr or config.option.deselect:
        return False
    folder = REPOSITORY / place
    asked = [Path(config.invocation_params.dir, word) for word in config.args if "::" not in word]
    left_out = [Path(config.invocation_params.dir, word) for word in config.option.ignore or []]
    return any(folder.is_relative_to(one) for one in asked) and not any(folder.is_relative_to(one) for one in left_out)


def test_numbers_are_complete() -> None:
    assert list(BY_ID) == [f"G-{number:03}" for number in range(1, 109)]


def test_claims_are_known(claims: list[Claim]) -> None:
    assert {claim.threat for claim in claims} <= BY_ID.keys()


@pytest.mark.parametrize("threat", BY_ID.values(), ids=lambda threat: threat.id)
def test_every_threat_is_shown_or_waits(threat: Threat, claims: list[Claim]) -> None:
    is_shown = any(claim.threat == threat.id for claim in claims)
    assert is_shown != bool(threat.waits_for)


def test_page_is_current(claims: list[Claim]) -> None:
    kept = (REPOSITORY / "docs/security/cases.md").read_text()
    assert kept == page(claims), "renew it: python -m tests.threats.page > docs/security/cases.md"
