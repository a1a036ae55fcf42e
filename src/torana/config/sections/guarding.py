"""Settings: timers and bounds; what keeps the server safe from slow, large and many clients."""

from __future__ import annotations

from torana.config.kinds import duration, integer, integer_or, size, size_or
from torana.config.setting import Setting, table

_LARGEST_HEAD = 16 * 1024 * 1024

TIMEOUTS = table(
    "Timeouts",
    Setting(
        "timeout_first_byte",
        duration(),
        "From connect to the first byte of a request.",
        fills="serve.timeouts.first_byte_s",
    ),
    Setting(
        "timeout_head",
        duration(),
        "From the first byte to the end of a request head; grows by 1 s per 500 bytes.",
        fills="serve.timeouts.head_s",
    ),
    Setting(
        "timeout_head_max",
        duration(),
        "Longest a request head may take, however much of it came.",
        fills="serve.timeouts.head_max_s",
    ),
    Setting("timeout_body", duration(), "Longest silence within a request body.", fills="serve.timeouts.body_idle_s"),
    Setting("timeout_body_grace", duration(), "Time before min_body_rate counts.", fills="serve.timeouts.body_grace_s"),
    Setting(
        "min_body_rate",
        integer(),
        "Least average rate of a request body, in bytes per second; 0 allows any.",
        fills="serve.timeouts.body_rate",
    ),
    Setting(
        "timeout_write",
        duration(),
        "Longest time without the client taking a byte of the response.",
        fills="serve.timeouts.write_idle_s",
    ),
    Setting(
        "min_write_rate",
        integer(),
        "Least average rate at which a client must take what waits for it, in bytes per second; 0 allows any.",
        fills="serve.timeouts.write_rate",
    ),
    Setting(
        "timeout_keep_alive",
        duration(),
        "Idle time between two requests of a connection.",
        fills="serve.timeouts.keep_alive_s",
        also=("--keep-alive",),
    ),
    Setting(
        "timeout_linger",
        duration(),
        "Longest a refused request is still read, so that its answer arrives.",
        fills="serve.timeouts.linger_s",
    ),
    Setting(
        "timeout_proxy_header",
        duration(),
        "Longest a PROXY protocol header may take.",
        fills="serve.timeouts.proxy_header_s",
    ),
    Setting(
        "timeout_graceful",
        duration(),
        "Graceful stop: time for running requests to finish.",
        fills="serve.timeouts.graceful_s",
        also=("--timeout-graceful-shutdown", "--graceful-timeout"),
    ),
    Setting(
        "timeout_cancel",
        duration(),
        "Graceful stop: time for requests that were told to end.",
        fills="serve.timeouts.cancel_s",
    ),
    Setting(
        "drain_delay",
        duration(),
        "Graceful stop: time in which connections are still accepted, for load balancers.",
        fills="serve.timeouts.drain_delay_s",
    ),
    Setting(
        "timeout_request",
        duration(),
        "Longest the application may take to answer a request, then 504; time in which the client sends or takes "
        "bytes is not counted, and each piece of a streaming answer begins it anew.",
        fills="serve.timeouts.request_s",
    ),
    Setting(
        "timeout_boot",
        duration(),
        "Longest a worker may take to become ready.",
        fills="process.boot_s",
    ),
    Setting(
        "timeout_retire",
        duration(),
        "Longest a replaced worker may go on with its streams.",
        fills="process.retire_s",
    ),
    Setting(
        "timeout_hang",
        duration(),
        "End a worker in which nothing moves for this long while work waits.",
        fills="process.hang_s",
    ),
)

LIMITS = table(
    "Limits",
    Setting(
        "limit_connections",
        integer_or("auto", 0, 1, 10_000_000),
        "Open connections; auto is min(10000, 0.8 x the limit of open files).",
        fills="serve.bounds.connections",
        also=("--worker-connections",),
    ),
    Setting(
        "limit_concurrency",
        integer_or("auto", 0, 1, 10_000_000),
        "Requests running at once, beyond them 503; auto is as many as connections.",
        fills="serve.bounds.concurrency",
    ),
    Setting(
        "limit_keep_alive_requests",
        integer(),
        "Requests served by one connection; 0 means no bound.",
        fills="serve.bounds.keep_alive_requests",
    ),
    Setting(
        "limit_memory",
        size_or("auto", 0, 1 << 18, 1 << 50),
        "Bytes that a worker may hold for all clients together: bodies, messages, answers not yet taken; auto is a "
        "quarter of the memory there is, divided by the workers.",
        fills="serve.bounds.memory_bytes",
    ),
    Setting(
        "limit_spool_disk",
        size(),
        "Request bodies that a worker may have in temporary files, all together (at least one of "
        "limit_body); beyond it 503.",
        fills="serve.bounds.spool_disk_bytes",
    ),
    Setting("limit_body", size(), "Largest request body.", fills="serve.bounds.body_bytes"),
    Setting(
        "limit_request_line", size(64, _LARGEST_HEAD), "Largest request line.", fills="serve.limits.request_line_bytes"
    ),
    Setting("limit_method", size(1, 1024), "Longest request method.", fills="serve.limits.method_bytes"),
    Setting(
        "limit_field",
        size(64, _LARGEST_HEAD),
        "Largest single header field.",
        fills="serve.limits.field_bytes",
        also=("--limit-request-field_size", "--limit-request-field-size"),
    ),
    Setting(
        "limit_head",
        size(64, _LARGEST_HEAD),
        "Largest request head, all its fields together.",
        fills="serve.limits.head_bytes",
        also=("--h11-max-incomplete-event-size",),
    ),
    Setting(
        "limit_field_count",
        integer(1, 100_000),
        "Most header fields of a request.",
        fills="serve.limits.field_count",
        also=("--limit-request-fields",),
    ),
    Setting("limit_trailer", size(1, _LARGEST_HEAD), "Largest trailer section.", fills="serve.limits.trailer_bytes"),
    Setting(
        "limit_chunk_line",
        size(16, _LARGEST_HEAD),
        "Longest line that opens a chunk.",
        fills="serve.limits.chunk_line_bytes",
    ),
    Setting(
        "limit_chunk_extension",
        size(1, _LARGEST_HEAD),
        "Most bytes of chunk extensions in one body.",
        fills="serve.limits.chunk_extension_bytes",
    ),
    Setting(
        "limit_chunk_overhead",
        size(1, _LARGEST_HEAD),
        "How far the framing of a chunked body may outgrow its content.",
        fills="serve.limits.chunk_overhead_bytes",
    ),
    Setting(
        "limit_read_ahead",
        size(1),
        "Request body read ahead of the application.",
        fills="serve.bounds.read_ahead_bytes",
    ),
    Setting(
        "limit_linger",
        size(),
        "Unread request body thrown away so that a connection can be kept.",
        fills="serve.bounds.linger_bytes",
    ),
    Setting(
        "limit_read_buffer",
        size(1024, 1 << 30),
        "Bytes taken from a connection at once.",
        fills="net.transport.read_bytes",
    ),
    Setting(
        "limit_write_buffer",
        size(1024, 1 << 30),
        "Response bytes waiting for a client before the application waits.",
        fills="net.transport.write_high_bytes",
    ),
    Setting(
        "limit_write_resume",
        size(0, 1 << 30),
        "Waiting response bytes at which the application goes on.",
        fills="net.transport.write_low_bytes",
    ),
    Setting(
        "max_requests",
        integer(),
        "Stop after this many requests; 0 never.",
        fills="serve.bounds.max_requests",
        also=("--limit-max-requests",),
    ),
    Setting(
        "max_requests_jitter",
        integer(),
        "Up to this many requests more, by chance.",
        default=None,
        also=("--limit-max-requests-jitter",),
        unset="a tenth of max_requests",
    ),
)
