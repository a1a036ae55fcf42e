"""Torana: one Python program between the open internet and any Python web application."""

from __future__ import annotations

__version__ = "0.1.0"
