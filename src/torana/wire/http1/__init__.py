"""HTTP/1.0 and HTTP/1.1, server side (RFC 9112)."""
