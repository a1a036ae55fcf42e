"""Every case of the corpus, whole, byte by byte, cut everywhere, behind a valid request and before the canary."""

from __future__ import annotations

import pytest

from tests.unit.wire.corpus import chunks, framing, lines, requests
from tests.unit.wire.corpus.case import CANARY, Case
from tests.unit.wire.http1_driver import check, cuts, drive, single_bytes

CASES = [*framing.CASES, *chunks.CASES, *lines.CASES, *requests.CASES]
VALID = b"GET /first HTTP/1.1\r\nHost: t\r\n\r\n"


def test_case_ids_are_unique() -> None:
    ids = [case.id for case in CASES]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id[:60])
def test_verdict(case: Case) -> None:
    data = case.data + CANARY
    whole = drive([data])
    check(case, whole)
    if len(data) < 40_000:
        assert drive(single_bytes(data)) == whole
    for pieces in cuts(data):
        assert drive(pieces) == whole
    check(case, drive([VALID + data]), before=1)
    check(case, drive([VALID, case.data, CANARY]), before=1)
    assert drive([data], eof=True).error == whole.error
