"""Floor 0: values that every floor shares. Imports nothing of ours, does no I/O (law B)."""
