"""What needs a process of its own: limits of the system, signals, the real command."""
