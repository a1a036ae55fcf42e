"""Real frameworks against the real command. The sites here are imported by the server process, not by the tests."""
