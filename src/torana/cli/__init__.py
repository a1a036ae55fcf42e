"""Floor 7: one module a command: parse, act, print, exit."""
