"""The rules of ASGI and PEP 3333, checked from the wire through the real command."""
