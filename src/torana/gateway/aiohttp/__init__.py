"""Hosts aiohttp applications: their own server protocol, on the other end of a pipe in memory."""
