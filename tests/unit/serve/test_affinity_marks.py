"""What is done with the head of an answer so that its session is found again."""

from __future__ import annotations

import re

from torana.base.roster import ROSTER_BYTES, Roster
from torana.serve.affinity.choice import hash_of
from torana.serve.affinity.marks import Both, CookieMark, Learner, compiled, minute

FIELDS = [(b"content-type", b"text/html")]


def test_a_new_session_gets_a_cookie_by_chance() -> None:
    mark = CookieMark(b"w=", 3, None, False)
    first, second = mark.leaving(None, FIELDS, b""), mark.leaving(None, FIELDS, b"")
    assert first[:1] == FIELDS and len(first) == 2 and first != second
    assert re.fullmatch(rb"w=3\.[\w-]{22}; Path=/; HttpOnly; SameSite=Lax", first[1][1])
    # The application's own list is not changed.
    assert len(FIELDS) == 1


def test_a_session_that_moves_keeps_its_token() -> None:
    fields = CookieMark(b"w=", 3, b"t" * 22, True).leaving(None, [], b"")
    assert fields == [(b"set-cookie", b"w=3." + b"t" * 22 + b"; Path=/; HttpOnly; SameSite=Lax; Secure")]


def test_what_a_cache_may_give_to_everybody_has_no_cookie() -> None:
    for value in (b"public", b"max-age=60, S-MaxAge=10", b"PUBLIC, immutable"):
        fields = [(b"Cache-Control", value)]
        assert CookieMark(b"w=", 3, None, False).leaving(None, fields, b"") is fields
    assert len(CookieMark(b"w=", 3, None, False).leaving(None, [(b"cache-control", b"no-store")], b"")) == 2


def test_names_are_learned_from_fields_and_from_the_beginning_of_bodies() -> None:
    roster = Roster(memoryview(bytearray(ROSTER_BYTES)))
    learner = Learner(roster, 9, [(b"x-id", b"h:x-id")], [(compiled("id=([a-z]+)"), b"q:id")])
    fields = [(b"X-Id", b"from-a-field")]
    assert learner.leaving(None, fields, b"  id=body ") is fields
    assert roster.find(hash_of(b"h:x-id", b"from-a-field"), minute()) == 9
    assert roster.find(hash_of(b"q:id", b"body"), minute()) == 9
    learner.leaving(None, [(b"x-id", b"x" * 257), (b"x-other", b"no")], b" " * 5000 + b"id=toolate")
    assert roster.find(hash_of(b"h:x-id", b"x" * 257), minute()) == -1
    assert roster.find(hash_of(b"q:id", b"toolate"), minute()) == -1


def test_both() -> None:
    mark = Both(CookieMark(b"a=", 1, None, False), CookieMark(b"b=", 2, None, False))
    assert [name for name, _ in mark.leaving(None, [], b"")] == [b"set-cookie"] * 2
