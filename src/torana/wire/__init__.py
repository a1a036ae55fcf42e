"""Floor 1: the protocols. Bytes become events and events become bytes, without I/O, clock or asyncio (law B)."""
