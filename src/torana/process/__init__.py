"""Floor 5: processes and signals. Fork, exec and kill happen only here (law D)."""
