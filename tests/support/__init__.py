"""Shared test support: servers started by the real command, raw clients, curl, memory. Holds no tests."""
