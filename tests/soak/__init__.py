"""The soak: every kind of client, good and bad, for as long as one likes, and what it must leave as it was.

``make soak MINUTES=30``. Lives here: load, sampling, judgement, plot and page. Never here: what other suites test once.
"""
