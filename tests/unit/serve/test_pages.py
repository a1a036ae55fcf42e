"""When memory is given back to the system: after a crowd, once, and never for a few."""

from __future__ import annotations

from torana.serve.pages import Pages, trim

_MIB = 1024 * 1024


def given_back(*looks: tuple[int, int]) -> list[int]:
    """At which of the looks (connections, MiB held)."""
    given: list[None] = []
    pages = Pages(lambda: given.append(None))
    found = []
    for at, (connections, held) in enumerate(looks):
        before = len(given)
        pages.look(connections, held * _MIB)
        found += [at] * (len(given) - before)
    return found


def test_once_when_a_crowd_has_left_for_good() -> None:
    assert given_back((10, 0), (5000, 0), (4000, 0), (313, 0), *[(312, 0)] * 4, (100, 0), *[(3, 0)] * 9) == [8]


def test_once_when_what_was_held_is_held_no_more() -> None:
    assert given_back((10, 0), (10, 160), (10, 11), *[(10, 10)] * 5, *[(10, 0)] * 9) == [7]


def test_not_while_it_comes_and_goes() -> None:
    assert given_back(*[(2000, 0), (0, 0), (0, 0), (0, 0), (0, 0)] * 5) == []


def test_not_for_a_few() -> None:
    assert given_back((999, 63), *[(0, 0)] * 10) == []


def test_again_for_the_next_crowd() -> None:
    assert given_back(*[(2000, 0), *[(0, 0)] * 5] * 3) == [5, 11, 17]


def test_the_call_itself_never_fails() -> None:
    trim()
