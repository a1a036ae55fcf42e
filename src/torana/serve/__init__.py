"""Floor 4: joins net to wire to exchange to whoever answers; timeouts, admission, drain."""
