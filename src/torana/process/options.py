"""The options: everything a run needs to know, as values. ``config`` makes it, ``process`` carries it out.

They are frozen, hold no open thing and can be pickled, so they also travel to another process.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torana.gateway.options import ApplicationOptions, GatewayOptions
from torana.net.options import NetOptions
from torana.serve.options import ServeOptions


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """What a deployer may say about the process itself."""

    #: Worker processes; 0 chooses by the CPUs and the memory that are ours ("auto").
    workers: int = 1
    #: Whether a supervisor starts the workers and looks after them; without one this process serves by itself.
    is_supervised: bool = False
    #: Import the application once, in a process that the workers are forked from.
    preload: bool = False
    #: "auto" (uvloop where it is installed), "asyncio" or "uvloop".
    loop: str = "auto"
    #: Mode bits taken from files the process makes, or None to leave it as it is.
    umask: int | None = None
    pid_file: str | None = None
    #: Replace a worker that is larger (bytes) or older (seconds) than this; 0 never.
    max_rss_bytes: int = 0
    max_lifetime_s: float = 0.0
    #: Longest a worker may take to become ready; 0 means no bound.
    boot_s: float = 600.0
    #: How long a retired worker may go on with the streams it has.
    retire_s: float = 300.0
    #: A worker in which nothing moves while work waits is ended after this; 0 never.
    hang_s: float = 30.0
    #: Whom the workers run as: names or numbers, or None to stay who we are.
    user: str | None = None
    group: str | None = None
    #: Where commands are heard: "auto" (in the run-time directory), "off", or a path.
    control_socket: str = "auto"
    #: What systemd said about sockets it passed: LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES, as (name, value).
    systemd: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What the server says about itself on standard error."""

    #: "debug", "info", "warning", "error" or "critical".
    level: str = "info"
    #: A file for ``logging.config`` (.json, .toml, .ini); it replaces the rest of these options.
    config_file: str | None = None
    #: "auto" (on a terminal), "always" or "never".
    color: str = "auto"


@dataclass(frozen=True, slots=True)
class ReloadOptions:
    """Which files a development server watches."""

    is_on: bool = False
    #: Directories, absolute; none means the current one.
    dirs: tuple[str, ...] = ()
    #: File name patterns that cause a reload.
    include: tuple[str, ...] = ("*.py",)
    #: Patterns of file and directory names, or of paths, that never do.
    exclude: tuple[str, ...] = (".*", "__pycache__", "node_modules", "venv", "site-packages")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """One run of the server."""

    application: ApplicationOptions = field(default_factory=ApplicationOptions)
    net: NetOptions = field(default_factory=NetOptions)
    serve: ServeOptions = field(default_factory=ServeOptions)
    gateway: GatewayOptions = field(default_factory=GatewayOptions)
    process: ProcessOptions = field(default_factory=ProcessOptions)
    log: LogOptions = field(default_factory=LogOptions)
    reload: ReloadOptions = field(default_factory=ReloadOptions)
    #: What configuration wants said once when the server starts.
    notices: tuple[str, ...] = ()
