"""Settings: WebSocket and HTTP/2."""

from __future__ import annotations

from torana.config.kinds import duration, integer, many, size, switch, text
from torana.config.setting import Setting, table

WEBSOCKET = table(
    "WebSocket",
    Setting(
        "ws_max_size",
        size(1, 1 << 31),
        "Largest message, after inflation.",
        fills="serve.websocket.message_bytes",
        also=("--limit-ws-message",),
    ),
    Setting(
        "ws_max_queue",
        size(1, 1 << 30),
        "Bytes of messages that wait for the application of one connection before reading pauses.",
        fills="serve.bounds.websocket_queue_bytes",
        also=("--limit-ws-queue",),
    ),
    Setting(
        "ws_ping_interval",
        duration(),
        "From one ping to the next; 0 sends none.",
        fills="serve.timeouts.websocket_ping_s",
        also=("--timeout-ws-ping",),
    ),
    Setting(
        "ws_ping_timeout",
        duration(),
        "How long a pong may take before the connection counts as dead; 0 waits for ever.",
        fills="serve.timeouts.websocket_pong_s",
        also=("--timeout-ws-pong",),
    ),
    Setting(
        "timeout_ws_close",
        duration(),
        "How long the closing handshake may take.",
        fills="serve.timeouts.websocket_close_s",
    ),
    Setting(
        "ws_per_message_deflate",
        switch(),
        "Compress messages for clients that offer permessage-deflate.",
        fills="serve.websocket.has_deflate",
    ),
    Setting(
        "ws_allowed_origins",
        many(text()),
        "Origins of pages that may open a WebSocket besides those of the same host and port; * allows any.",
        fills="serve.identity.websocket_origins",
        unset="the same host and port only",
    ),
)

HTTP2 = table(
    "HTTP/2",
    Setting(
        "limit_http2_streams",
        integer(1, 10_000),
        "Requests of one connection that run at once.",
        fills="serve.http2.streams",
    ),
    Setting(
        "limit_http2_window",
        size(65_535, 1 << 30),
        "Bytes of a request body that may be on their way before the application takes them.",
        fills="serve.http2.stream_window_bytes",
    ),
    Setting(
        "limit_http2_connection_window",
        size(65_535, 1 << 30),
        "The same, of all requests of a connection together; bodies left unread may hold eight times as much.",
        fills="serve.http2.connection_window_bytes",
    ),
    Setting(
        "limit_http2_resets",
        integer(1, 1_000_000),
        "Streams that may be reset at once, by either side; a connection with more is closed.",
        fills="serve.http2.resets",
    ),
    Setting(
        "timeout_http2_idle",
        duration(),
        "Idle time of an HTTP/2 connection without requests.",
        fills="serve.timeouts.http2_idle_s",
    ),
    Setting(
        "timeout_http2_ping",
        duration(),
        "Silence of an HTTP/2 connection after which its client is asked whether it lives; 0 never asks.",
        fills="serve.timeouts.http2_ping_s",
    ),
    Setting(
        "timeout_http2_settings",
        duration(),
        "How long an HTTP/2 client may take to acknowledge our settings.",
        fills="serve.timeouts.http2_settings_s",
    ),
    Setting(
        "timeout_http2_stalled",
        duration(),
        "Longest time in which a client lets a response make no progress by keeping its window closed.",
        fills="serve.timeouts.http2_stalled_s",
    ),
)
