"""Flags of gunicorn and uvicorn that mean nothing here, each with what to do instead.

They are refused like any unknown flag, because to accept and ignore one would be a lie; but the refusal helps.
"""

from __future__ import annotations

_ALWAYS_ASYNC = "leave it out: Torana finds out itself whether an application is ASGI or WSGI"
_WEBSOCKET = "leave it out: WebSocket is spoken with every ASGI application that takes it"
_FOREGROUND = "leave it out: Torana stays in the foreground; systemd or a container puts it into the background"
_TIMEOUT = (
    "say which: --timeout-request (an answer takes too long), --timeout-hang (a worker does not move), --timeout-head, "
    "--timeout-body, --timeout-write or another of them"
)
_COLOR = "say --color always or --color never"

#: Hooks of gunicorn that have no event here.
HOOKS: dict[str, str] = {
    "pre_request": "wrap the application in a middleware instead",
    "post_request": "wrap the application in a middleware instead",
    "ssl_context": "say ciphers, ca_certs and cert_reqs instead",
}

FOREIGN: dict[str, str] = {
    "worker_class": _ALWAYS_ASYNC,
    "k": _ALWAYS_ASYNC,
    "timeout": _TIMEOUT,
    "t": _TIMEOUT,
    "daemon": _FOREGROUND,
    "D": _FOREGROUND,
    "name": "leave it out",
    "n": "leave it out",
    "chdir": "say --app-dir",
    "env": "say --env-file, or set the variable before the command",
    "e": "say --env-file, or set the variable before the command",
    "worker_tmp_dir": "leave it out: no heartbeat file is used",
    "error_logfile": "redirect standard error instead",
    "log_file": "redirect standard error instead",
    "capture_output": "redirect standard error instead",
    "access_logformat_json": "say --access-log-format json",
    "proxy_headers": "leave it out: headers of the hops in --forwarded-allow-ips are believed",
    "no_proxy_headers": "say --forwarded-allow-ips '' to believe nobody",
    "proxy_allow_from": "say --forwarded-allow-ips",
    "use_colors": _COLOR,
    "no_use_colors": _COLOR,
    "ws": _WEBSOCKET,
    "ssl_version": "leave it out: TLS 1.2 and newer are spoken",
    "ssl_ca_path": "say --ca-certs",
    "reuse_port": "leave it out: with --workers each has a queue of its own already",
    "reload_delay": "leave it out",
    "reload_engine": "leave it out: watchfiles is used where it is installed",
    "reload_extra_file": "say --reload-include",
    "wsgi": "say --interface wsgi",
    "workers_kill_timeout": "say --timeout-graceful",
    "timeout_worker_healthcheck": "say --timeout-hang",
    "workers_lifetime": "say --max-lifetime",
    "workers_max_rss": "say --max-rss",
    "respawn_failed_workers": "leave it out: workers that end are always replaced",
}
