"""Which answers wait for others, in what order they leave, and that none is left behind."""

from __future__ import annotations

from torana.base.burst import Burst, Sender


def test_a_lone_item_is_not_kept() -> None:
    burst = Burst()
    assert not burst.takes(10.0)
    assert not burst.takes(10.5)
    assert burst.takes(10.5001)


def test_items_come_out_in_order_and_once() -> None:
    burst = Burst()
    senders = [Sender() for _ in range(4)]
    assert [burst.add(sender, 1.0) for sender in senders] == [True, False, False, False]
    assert [burst.pop() for _ in range(5)] == [*senders, None]
    # Whoever comes first after that is again the one somebody has to see to.
    assert burst.add(Sender(), 1.0)


def test_a_burst_is_due_a_millisecond_after_its_first_item() -> None:
    burst = Burst()
    assert not burst.is_due(5.0), "nothing is kept"
    burst.add(Sender(), 5.0)
    burst.add(Sender(), 5.0009)
    assert not burst.is_due(5.0009)
    assert burst.is_due(5.0011)
