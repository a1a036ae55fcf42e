"""The project's package, and an application of it."""
