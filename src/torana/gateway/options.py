"""What a deployer may say about the application and how it is called. Values only; ``config`` fills them."""

from __future__ import annotations

from msgspec import Struct

from torana.base.secret import Secret


class ApplicationOptions(Struct, frozen=True):
    """Where the application is and what it is."""

    #: "module:attribute", "module", a file, or "" for a search of the current directory.
    target: str = ""
    app_dir: str | None = None
    is_factory: bool = False
    #: "auto", "asgi", "asgi2", "wsgi", "aiohttp", "tornado", or a product: "streamlit", "gradio", "panel", "bokeh".
    interface: str = "auto"
    #: For a script or a program that is hosted (Streamlit, Jupyter): what it finds as its own command line.
    arguments: tuple[str, ...] = ()
    #: What the ASGI application answers where a WSGI one answers the rest: "websocket", and patterns of paths.
    asgi_for: tuple[str, ...] = ()
    #: That ASGI application, named like ``target``; "" where it can be found out.
    asgi_target: str = ""
    #: Others beside this one, which then has the root; with an empty ``target`` there are only these.
    mounts: tuple[MountOptions, ...] = ()
    #: Random text, the same in every worker as long as the program lives: for a product that signs its cookies.
    secret: Secret = Secret()


class MountOptions(Struct, frozen=True):
    """One of several applications (``[[app]]``)."""

    application: ApplicationOptions
    #: Names in lower case, or ``*.`` and a name; none: every host.
    hosts: tuple[str, ...] = ()
    #: "" or "/prefix", decoded.
    path: str = ""
    #: What of the path the application is told as its mount point; None: all of it.
    root_path: str | None = None
    #: As ``GatewayOptions`` has them; None: as all.
    lifespan: str | None = None
    threads: int | None = None


class GatewayOptions(Struct, frozen=True):
    """How applications are called."""

    #: "auto", "on" or "off".
    lifespan: str = "auto"
    #: 0 waits for ever.
    lifespan_startup_timeout_s: float = 60.0
    lifespan_shutdown_timeout_s: float = 10.0
    #: Mount point, normalised: "" or "/prefix" without a trailing slash.
    root_path: str = ""
    #: Of one of several applications: what of the path below ``root_path`` is its mount point too, always there.
    mount: str = ""
    #: WSGI threads; 0 chooses min(32, 4 + 2 x CPU).
    threads: int = 0
    #: How long a WSGI request may wait for a thread before it is answered 503; seconds.
    thread_queue_timeout_s: float = 10.0
    #: A WSGI request body up to this size is kept in memory, beyond it goes to a temporary file; bytes.
    spool_bytes: int = 256 * 1024
    #: Whether another process may call the same application (WSGI's wsgi.multiprocess).
    is_multiprocess: bool = False
