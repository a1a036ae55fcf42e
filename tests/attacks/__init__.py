"""Attacks at full scale: thousands of clients against the real command, while a healthy client is watched.

``make attacks`` runs them in the compiled build and writes ``docs/security/attacks.md``. The same facts in small, in
both builds and without a clock, are ``tests/threats``.
"""
