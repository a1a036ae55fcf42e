"""Hosts Tornado applications through the delegate interface that Tornado made for this."""
