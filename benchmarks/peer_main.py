"""Starts the two peers whose own command will not do: bjoern has none, fastpysgi's cannot set TCP_NODELAY.

Usage: python -m benchmarks.peer_main bjoern|fastpysgi MODULE:ATTRIBUTE PORT [CERTFILE KEYFILE]
"""

from __future__ import annotations

import importlib
import sys
from typing import Any


def load_app(target: str) -> Any:
    """Import `module:attribute`."""
    module_name, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module_name), attribute)


def run_bjoern(app: Any, port: int) -> None:
    """Serve until a signal ends the process."""
    bjoern = importlib.import_module("bjoern")
    bjoern.run(app, "127.0.0.1", port)


def run_fastpysgi(app: Any, port: int, tls: list[str]) -> None:
    """Serve until a signal ends the process; `tls` is empty or [certfile, keyfile]."""
    fastpysgi = importlib.import_module("fastpysgi")
    fastpysgi.server.tcp_nodelay = 1
    if tls:
        fastpysgi.server.tls_list = [(tls[0], tls[1], None)]
    fastpysgi.run(app, "127.0.0.1", port, loglevel=fastpysgi.LL_FATAL_ERROR)


def main() -> None:
    """Dispatch on the first argument."""
    peer, target, port, *tls = sys.argv[1:]
    if peer == "bjoern":
        run_bjoern(load_app(target), int(port))
    else:
        run_fastpysgi(load_app(target), int(port), tls)


if __name__ == "__main__":
    main()
