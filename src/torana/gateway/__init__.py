"""Floor 3: application interfaces. An exchange goes in, an application answers it."""
