"""The options: everything a run needs to know, as values. ``config`` makes it, ``process`` carries it out.

They are frozen, hold no open thing and can be pickled, so they also travel to another process.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from torana.gateway.options import ApplicationOptions, GatewayOptions
from torana.net.options import NetOptions
from torana.serve.options import ServeOptions

#: Events that a function may be named for in ``[hooks]``, in the order of a server's life (``process/hooks.py``).
HOOK_EVENTS: Final = (
    "on_starting",
    "pre_fork",
    "post_fork",
    "post_worker_init",
    "when_ready",
    "on_reload",
    "nworkers_changed",
    "worker_int",
    "worker_abort",
    "worker_exit",
    "child_exit",
    "pre_exec",
    "on_exit",
)

#: Tells a new program which of its descriptors the old one speaks to it through (USR2).
HANDOFF_VARIABLE: Final = "TORANA_HANDOFF"

#: When a service that ended is started again.
RESTARTS: Final = ("always", "on-failure", "never")


class ServiceOptions(Struct, frozen=True):
    """A program beside the workers, one per server (``[[service]]``)."""

    #: What the log calls it; one of a kind.
    name: str
    #: Words to execute, or one text for the shell.
    command: tuple[str, ...] | str
    #: Directory to run it in; None is the server's own.
    cwd: str | None = None
    #: One of ``RESTARTS``; "on-failure" takes exit code 0 for an end as meant.
    restart: str = "always"
    #: How long it may take to end after TERM, before KILL.
    stop_s: float = 10.0


class Program(Struct, frozen=True):
    """What to execute to have this program again, as it was typed."""

    #: The first word is looked up in PATH if it has no slash.
    words: tuple[str, ...] = ()
    #: The environment as it was, before an env file was read into it.
    environ: tuple[tuple[str, str], ...] = ()
    #: Where it was started, with its symbolic links; "" if that was nowhere.
    directory: str = ""

    def __repr__(self) -> str:
        # An environment holds passwords.
        return f"Program(words={self.words!r}, directory={self.directory!r})"


class ProcessOptions(Struct, frozen=True):
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
    #: Added by chance, up to this, to the ``max_requests`` of each worker.
    max_requests_jitter: int = 0
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
    #: What systemd said: LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES about sockets it passed, NOTIFY_SOCKET,
    #: WATCHDOG_USEC and WATCHDOG_PID about what it wants to hear, as (name, value).
    systemd: tuple[tuple[str, str], ...] = ()
    #: The user's run-time directory (XDG_RUNTIME_DIR), "" where there is none.
    runtime_dir: str = ""
    #: What SIGUSR2 executes, and what a program that was started that way found in HANDOFF_VARIABLE.
    program: Program = field(default_factory=Program)
    handoff: str = ""
    services: tuple[ServiceOptions, ...] = ()
    #: Functions to call: (one of ``HOOK_EVENTS``, "module:function"), in the order they are called.
    hooks: tuple[tuple[str, str], ...] = ()


class LogOptions(Struct, frozen=True):
    """What the server says about itself on standard error."""

    #: "debug", "info", "warning", "error" or "critical".
    level: str = "info"
    #: A file for ``logging.config`` (.json, .toml, .ini); it replaces the rest of these options.
    config_file: str | None = None
    #: "auto" (on a terminal), "always" or "never".
    color: str = "auto"


class ReloadOptions(Struct, frozen=True):
    """Which files a development server watches."""

    is_on: bool = False
    #: Directories, absolute; none means the current one.
    dirs: tuple[str, ...] = ()
    #: File name patterns that cause a reload.
    include: tuple[str, ...] = ("*.py",)
    #: Patterns of file and directory names, or of paths, that never do.
    exclude: tuple[str, ...] = (".*", "__pycache__", "node_modules", "venv", "site-packages")


class RunOptions(Struct, frozen=True):
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
