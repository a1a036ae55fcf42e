"""Measurements of Torana beside its peers. Never imported by `torana`, never a gate in the test suite."""
