"""WebSocket without I/O: handshake, frames, compression, closing (RFC 6455, 7692, 8441)."""
