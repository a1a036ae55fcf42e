"""Settings: whom the server believes about a client, what it adds to responses, and what it logs."""

from __future__ import annotations

from torana.config.kinds import choice, many, path, switch, text
from torana.config.server_kinds import network, response_field
from torana.config.setting import Setting, table

IDENTITY = table(
    "Proxies and response headers",
    Setting(
        "forwarded_allow_ips",
        many(network()),
        "Hops whose X-Forwarded-*, Forwarded and PROXY protocol are believed; * believes everybody.",
        fills="serve.identity.forwarded_allow_ips",
    ),
    Setting(
        "forwarded_family",
        choice("auto", "forwarded", "x-forwarded"),
        "Which fields of a trusted hop count: Forwarded, X-Forwarded-*, or whichever is there (400 if both disagree).",
        fills="serve.identity.forwarded_family",
    ),
    Setting(
        "proxy_protocol",
        switch(),
        "Expect a PROXY protocol header (v1 or v2) from trusted hops.",
        fills="serve.identity.proxy_protocol",
    ),
    Setting("server_header", switch(), "Send the Server header.", fills="serve.identity.server_header"),
    Setting("date_header", switch(), "Send the Date header.", fills="serve.identity.date_header"),
    Setting(
        "header",
        many(response_field(), splits="\n"),
        "Header added to each response, 'Name: value'; may be given several times.",
        fills="serve.identity.headers",
    ),
)

LOGGING = table(
    "Logging",
    Setting("access_log", switch(), "Write a line about each request.", fills="serve.access_log.is_on"),
    Setting(
        "access_log_format",
        text(),
        "auto (short on a terminal, JSON otherwise), combined, json, or a format string.",
        fills="serve.access_log.format",
        also=("--access-logformat",),
    ),
    Setting(
        "access_log_file",
        path(),
        "File of the access log; - is standard output.",
        fills="serve.access_log.file",
        also=("--access-logfile",),
    ),
    Setting(
        "log_level",
        choice("debug", "info", "warning", "error", "critical", also={"trace": "debug"}),
        "How much the server says about itself on standard error.",
        fills="log.level",
    ),
    Setting(
        "log_config",
        path(),
        "Logging configuration for Python's logging module: .json, .toml or .ini.",
        fills="log.config_file",
        also=("--log-config-json",),
        must_exist="file",
    ),
    Setting("color", choice("auto", "always", "never"), "Colour in the log: auto is on a terminal.", fills="log.color"),
)
