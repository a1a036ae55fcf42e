"""Settings: where the application is and how it is called."""

from __future__ import annotations

from torana.config.app_kinds import application, asgi_purpose
from torana.config.kinds import choice, duration, integer_or, many, path, size, switch, text, words
from torana.config.server_kinds import mount_point
from torana.config.setting import Setting, table

APPLICATION = table(
    "Application",
    Setting(
        "app",
        text(),
        "The application: module:attribute, module, a .py file, or nothing for a search of the current directory.",
        fills="application.target",
        unset="a search of the current directory",
    ),
    Setting(
        "app_dir",
        path("DIR"),
        "Directory that is put first on the import path.",
        fills="application.app_dir",
        unset="the current directory",
        must_exist="directory",
    ),
    Setting(
        "factory",
        switch(),
        "The application is a function to be called without arguments.",
        fills="application.is_factory",
    ),
    Setting(
        "interface",
        choice(
            "auto",
            "asgi",
            "asgi2",
            "wsgi",
            "aiohttp",
            "tornado",
            "streamlit",
            "gradio",
            "panel",
            "bokeh",
            also={"asgi3": "asgi"},
        ),
        "What the application speaks, or which product a script is written for; auto finds out, and says so when it "
        "cannot.",
        fills="application.interface",
    ),
    Setting(
        "app_args",
        words(),
        "What a hosted script or program (Streamlit, Jupyter) finds as its own command line; also all behind --.",
        fills="application.arguments",
    ),
    Setting(
        "mount",
        many(application()),
        "One of several applications: PATH=APP, HOST=APP or HOST/PATH=APP, or an [[app]] table in a file. May be given "
        "several times; the longest path wins. Beside them, the application of APP has the rest.",
        fills="application.mounts",
    ),
    Setting(
        "asgi_for",
        many(asgi_purpose()),
        "What the ASGI application of a site answers, while its WSGI application answers the rest on threads: "
        "websocket, or paths such as /sse/*.",
        fills="application.asgi_for",
    ),
    Setting(
        "asgi_app",
        text(),
        "That ASGI application, named like APP.",
        fills="application.asgi_target",
        unset="the asgi.py beside a wsgi.py, or of the Django project",
    ),
    Setting("root_path", mount_point(), "Path under which the application is mounted.", fills="gateway.root_path"),
    Setting(
        "lifespan",
        choice("auto", "on", "off"),
        "ASGI lifespan: on insists, off never asks, auto accepts an application that has none.",
        fills="gateway.lifespan",
    ),
    Setting(
        "threads",
        integer_or("auto", 0, 1, 10_000),
        "Threads for WSGI requests; each open WebSocket of a WSGI application holds one. auto: min(32, 4 + 2 x CPUs).",
        fills="gateway.threads",
    ),
    Setting(
        "timeout_startup",
        duration(),
        "Longest the application may take to start up (lifespan).",
        fills="gateway.lifespan_startup_timeout_s",
    ),
    Setting(
        "timeout_shutdown",
        duration(),
        "Longest the application may take to shut down (lifespan).",
        fills="gateway.lifespan_shutdown_timeout_s",
    ),
    Setting(
        "timeout_thread_queue",
        duration(least=0.001),
        "Longest a WSGI request waits for a thread before it is answered 503.",
        fills="gateway.thread_queue_timeout_s",
    ),
    Setting(
        "limit_spool",
        size(),
        "A WSGI request body up to this size stays in memory; beyond it, a temporary file.",
        fills="gateway.spool_bytes",
    ),
)
