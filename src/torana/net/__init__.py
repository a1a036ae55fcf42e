"""Floor 1: sockets, TLS, the poller, timers and the cached date. Knows no protocol."""
