"""ASGI 2 and 3 applications."""
