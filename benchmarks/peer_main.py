"""Starts the peers whose own command will not do: bjoern has none, fastpysgi's cannot set TCP_NODELAY, nginx's a port;
frameworks with a server of their own are programs that start it.

Usage: python -m benchmarks.peer_main PEER MODULE:ATTRIBUTE PORT [CERTFILE KEYFILE]
PEER: aiohttp|aiohttp-uvloop|bjoern|fastpysgi|nginx|tornado|tornado-uvloop
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_NGINX = """
daemon off;
worker_processes 1;
error_log stderr error;
pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port} http2;
        location / {{ default_type text/plain; return 200 "Hello, world!"; }}
    }}
}}
"""


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


def run_nginx(port: int) -> None:
    """Serve hello over HTTP/2 until a signal ends the process group."""
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(_NGINX.format(folder=folder, port=port))
        subprocess.run(["nginx", "-p", folder, "-c", str(configuration)], check=False)


def run_tornado(app: Any, port: int, has_uvloop: bool) -> None:
    """Serve until a signal ends the process; without access lines, like everybody here."""
    httpserver = importlib.import_module("tornado.httpserver")
    logging.getLogger("tornado.access").disabled = True

    async def serve() -> None:
        httpserver.HTTPServer(app).listen(port, "127.0.0.1")
        await asyncio.Event().wait()

    importlib.import_module("uvloop" if has_uvloop else "asyncio").run(serve())


def run_aiohttp(app: Any, port: int, has_uvloop: bool) -> None:
    """Serve until a signal ends the process; without access lines, like everybody here."""
    web = importlib.import_module("aiohttp.web")
    loop = importlib.import_module("uvloop" if has_uvloop else "asyncio").new_event_loop()
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, loop=loop)


def main() -> None:
    """Dispatch on the first argument."""
    peer, target, port, *tls = sys.argv[1:]
    if peer == "bjoern":
        run_bjoern(load_app(target), int(port))
    elif peer == "nginx":
        run_nginx(int(port))
    elif peer.startswith("aiohttp"):
        run_aiohttp(load_app(target), int(port), peer.endswith("uvloop"))
    elif peer.startswith("tornado"):
        run_tornado(load_app(target), int(port), peer.endswith("uvloop"))
    else:
        run_fastpysgi(load_app(target), int(port), tls)


if __name__ == "__main__":
    main()
