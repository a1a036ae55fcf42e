"""Settings: the process, development, and where settings come from."""

from __future__ import annotations

from torana.config.affinity_kind import affinity
from torana.config.kinds import choice, duration, integer_or, many, octal, path, size, switch, text
from torana.config.process_kinds import hooks, meeting_place, service
from torana.config.setting import Setting, table

PROCESS = table(
    "Process",
    Setting(
        "workers",
        integer_or("auto", 0, 1, 4096),
        "Worker processes; auto is as many as there are CPUs for us.",
        fills="process.workers",
        also=("-w",),
    ),
    Setting(
        "affinity",
        affinity(),
        "What keeps a session with one of several workers: a cookie of ours, a field, a part of the query, the "
        "client's address; or a preset for what needs it.",
        fills="serve.affinity",
    ),
    Setting(
        "loop",
        choice("auto", "asyncio", "uvloop"),
        "Event loop: auto is uvloop where it is installed.",
        fills="process.loop",
    ),
    Setting("pid", path(), "File to write the process id to.", fills="process.pid_file", also=("-p",), unset="no file"),
    Setting(
        "umask",
        octal(),
        "Mode bits taken from files the server makes.",
        fills="process.umask",
        also=("-m",),
        unset="left as it is",
    ),
    Setting(
        "user", text(), "User to run the workers as.", fills="process.user", also=("-u",), unset="whoever starts it"
    ),
    Setting(
        "group", text(), "Group to run the workers as.", fills="process.group", also=("-g",), unset="the user's own"
    ),
    Setting(
        "preload",
        switch(),
        "Import the application once, before the workers start.",
        fills="process.preload",
        also=("--preload-app",),
    ),
    Setting("max_rss", size(), "Replace a worker whose memory grows beyond this.", fills="process.max_rss_bytes"),
    Setting("max_lifetime", duration(), "Replace a worker after this time.", fills="process.max_lifetime_s"),
    Setting(
        "warm_up",
        text(),
        "Path that must be answered (below 500) before a worker is ready.",
        fills="serve.warm_up_path",
        unset="none",
    ),
    Setting(
        "health_path",
        text(),
        "Path answered without the application: 200, or 503 before a stop.",
        fills="serve.health_path",
        unset="none",
    ),
    Setting(
        "control_socket",
        meeting_place(),
        "Where commands are heard: auto (in the run-time directory), off, or a path.",
        fills="process.control_socket",
    ),
    Setting(
        "hooks",
        hooks(),
        "Functions to call when the server starts, forks, reloads or ends; may be given several times.",
        fills="process.hooks",
        also=("--hook",),
    ),
    Setting(
        "service",
        many(service(), splits="\n"),
        "A program to run beside the workers, one per server; may be given several times.",
        fills="process.services",
    ),
    Setting("static", many(text()), "Serve files: ROUTE=DIR; may be given several times.", default=()),
)

DEVELOPMENT = table(
    "Development",
    Setting("reload", switch(), "Start anew whenever a file changes.", fills="reload.is_on"),
    Setting(
        "reload_dir",
        many(path("DIR"), splits=":"),
        "Directory to watch; may be given several times.",
        fills="reload.dirs",
        unset="the current directory",
        must_exist="directory",
    ),
    Setting(
        "reload_include",
        many(text()),
        "File name pattern to watch; may be given several times.",
        fills="reload.include",
    ),
    Setting(
        "reload_exclude",
        many(text()),
        "Pattern of names never watched; may be given several times.",
        fills="reload.exclude",
    ),
    Setting(
        "error_pages", switch(), "Show the traceback of a failed request to the client.", fills="serve.error_pages"
    ),
)

SOURCES = table(
    "Configuration",
    Setting(
        "config",
        path(),
        "Configuration file.",
        default=None,
        also=("-c",),
        unset="torana.toml, or [tool.torana] in pyproject.toml",
        must_exist="file",
    ),
    Setting(
        "env_file",
        path(),
        "File of KEY=VALUE lines, put into the environment of the application.",
        default=None,
        must_exist="file",
    ),
)
