"""All listeners that a server accepts from, by the key they came with: its own, and queues adopted from its siblings.

Never here: how one of them accepts (``acceptor``), when they are opened and closed (``server``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torana.serve.acceptor import Acceptor

if TYPE_CHECKING:
    from torana.net.listener import Listener
    from torana.net.options import TransportOptions
    from torana.net.poller import Poller
    from torana.net.tls import TlsContexts
    from torana.serve.admission import Crowd
    from torana.serve.site import Site


class Doors:
    """The open listeners of one site."""

    def __init__(
        self, poller: Poller, site: Site, crowd: Crowd, options: TransportOptions, contexts: TlsContexts | None
    ) -> None:
        self._poller = poller
        self._site = site
        self._crowd = crowd
        self._options = options
        self._contexts = contexts
        self._acceptors: dict[str, list[Acceptor]] = {}
        #: Whether nobody is accepted any more.
        self.is_shut = False

    def open(self, key: str, listeners: list[Listener]) -> None:
        """Accept from these too; once the doors are shut, they are only let go of."""
        if self.is_shut:
            for listener in listeners:
                listener.let_go()
            return
        self.release(key)
        acceptors = self._acceptors[key] = []
        for listener in listeners:
            acceptor = Acceptor(listener, self._poller, self._site, self._crowd, self._options, self._contexts)
            acceptors.append(acceptor)
            acceptor.open()

    def release(self, key: str) -> None:
        """Leave what came with ``key`` to others, with all that waits in its queues; nothing if there is none."""
        for acceptor in self._acceptors.pop(key, ()):
            acceptor.let_go()

    def let_go(self) -> None:
        """Leave all listeners to others, with all that waits in their queues."""
        self.is_shut = True
        for key in list(self._acceptors):
            self.release(key)

    def close(self) -> None:
        """Empty the queues and close: nobody else will."""
        self.is_shut = True
        for acceptors in self._acceptors.values():
            for acceptor in acceptors:
                acceptor.close()
        self._acceptors.clear()

    def forsake(self) -> None:
        """In a forked child: close the copies of all listeners, which are the parent's."""
        for acceptors in self._acceptors.values():
            for acceptor in acceptors:
                acceptor.listener.let_go()

    def waiting(self) -> int:
        """Connections that wait in the kernel's queues."""
        return sum(acceptor.listener.waiting() for acceptors in self._acceptors.values() for acceptor in acceptors)
