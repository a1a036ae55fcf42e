"""A whole server in the test's own event loop, and clients that show every byte."""
