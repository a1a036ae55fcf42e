"""HTTP/2 without I/O, server side: frames, HPACK, streams, flow control (RFC 9113, 7541, 8441, 9218)."""
