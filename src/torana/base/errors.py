"""Errors that end a start, each with the exit code that the contract gives it. Nothing here prints or exits."""

from __future__ import annotations


class ToranaError(Exception):
    """Something that a user has to hear in one clear sentence."""

    exit_code = 1


class ConfigError(ToranaError):
    """A command line, a variable or a file says something that cannot be (exit code 2)."""

    exit_code = 2


class LoadError(ToranaError):
    """The application could not be loaded or refused to start (exit code 3)."""

    exit_code = 3


class BindError(ToranaError):
    """An address could not be bound (exit code 4)."""

    exit_code = 4
