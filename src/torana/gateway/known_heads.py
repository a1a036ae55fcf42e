"""Heads that come again: most answers of an application begin like others of it, so what was made of one is kept.

What never comes again, a cookie say, is not kept: a head is when it came twice. Never here: what a head may be
(``exchange/response.py``), its bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torana.exchange.response import KnownHead, Response

#: Heads that are kept; hashes of those that came once. When there are more, all are forgotten.
_MOST = 256
_MOST_MET = 1024
#: More is not kept: fields of one head; bytes or characters of a name, of a value.
_MOST_FIELDS = 32
_LONGEST_NAME = 64
_LONGEST_VALUE = 256


class KnownHeads:
    """Heads by the list of headers that an application gave: ``find``, and if there is none, start and ``note``.

    ``kind``: what names and values are, ``bytes`` or ``str``; of classes derived from it the application says what they
    are equal to, so heads with these are not kept.
    """

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind
        self._heads: dict[tuple[Any, ...], KnownHead] = {}
        self._met: set[int] = set()
        #: What was found last, by which items: an application that has them as constants gives the same ones again.
        self._last: tuple[tuple[Any, ...], KnownHead] | None = None

    def find(self, headers: Any) -> KnownHead | None:
        """The head that was made of such a list, to be started with; None for what is not known, whatever it is."""
        if type(headers) is not list:
            return None
        last = self._last
        if last is not None and _are_same(headers, last[0]):
            return last[1]
        key = tuple(headers)
        try:
            head = self._heads.get(key)
        except Exception:
            # What has no hash is no header, or one in a list.
            return None
        if head is not None:
            self._last = (key, head)
        return head

    def note(self, headers: Any, response: Response) -> None:
        """``response`` was started with ``headers``: keep what was made of them if they came before."""
        if type(headers) is not list or len(headers) > _MOST_FIELDS:
            return
        key = tuple(headers)
        try:
            digest = hash(key)
        except Exception:
            return
        if digest not in self._met:
            if len(self._met) >= _MOST_MET:
                self._met.clear()
            self._met.add(digest)
            return
        kind = self._kind
        for item in key:
            if type(item) is not tuple:
                return
            name, value = item
            if type(name) is not kind or type(value) is not kind:
                return
            if len(name) > _LONGEST_NAME or len(value) > _LONGEST_VALUE:
                return
        head = response.known()
        if head is not None:
            if len(self._heads) >= _MOST:
                self._heads.clear()
            self._heads[key] = head


def _are_same(headers: list[Any], items: tuple[Any, ...]) -> bool:
    """Whether both hold the very same objects, whatever these say of being equal."""
    count = len(headers)
    if count != len(items):
        return False
    for index in range(count):  # noqa: SIM110 - a generator costs more than all of it
        if headers[index] is not items[index]:
            return False
    return True
