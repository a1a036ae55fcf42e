"""Tells how often the project is set up."""

import sys

from django.apps import AppConfig


class HalvesConfig(AppConfig):
    name = "halves"

    def ready(self) -> None:
        print("note: the project is set up", file=sys.stderr, flush=True)
