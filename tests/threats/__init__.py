"""Every attack and fault that Torana has to answer, by its number, against the real command.

Tests of tests/flow and tests/live may carry the mark too. Lives here: the catalogue (what each number asks for), the
stage (a server, what is seen of it, a healthy client beside the attack), the ways bytes are delivered, and the tests. A
test says what it shows with
``@pytest.mark.threat("G-001", sent="what the attacker does", verdict="what comes of it")``; ``docs/security/cases.md``
is made from those marks (``tests.threats.page``). Never here: what needs minutes or thousands of clients
(``tests/attacks``), parsers without a socket (``tests/unit/wire``).
"""
