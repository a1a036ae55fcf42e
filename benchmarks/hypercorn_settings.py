"""What hypercorn has no flag for: by default it ends an HTTP/2 connection after a thousand requests."""

keep_alive_max_requests = 1_000_000_000
