"""What a deployer may say about the application and how it is called. Values only; ``config`` fills them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApplicationOptions:
    """Where the application is and what it is."""

    #: "module:attribute", "module", a file, or "" for a search of the current directory.
    target: str = ""
    app_dir: str | None = None
    is_factory: bool = False
    #: "auto", "asgi", "asgi2", "wsgi", "aiohttp" or "tornado".
    interface: str = "auto"
    #: For a script or a program that is hosted (Streamlit, Jupyter): what it finds as its own command line.
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """How applications are called."""

    #: "auto", "on" or "off".
    lifespan: str = "auto"
    #: 0 waits for ever.
    lifespan_startup_timeout_s: float = 60.0
    lifespan_shutdown_timeout_s: float = 10.0
    #: Mount point, normalised: "" or "/prefix" without a trailing slash.
    root_path: str = ""
    #: WSGI threads; 0 chooses min(32, 4 + 2 x CPU).
    threads: int = 0
    #: How long a WSGI request may wait for a thread before it is answered 503; seconds.
    thread_queue_timeout_s: float = 10.0
    #: A WSGI request body up to this size is kept in memory, beyond it goes to a temporary file; bytes.
    spool_bytes: int = 256 * 1024
    #: Whether another process may call the same application (WSGI's wsgi.multiprocess).
    is_multiprocess: bool = False
