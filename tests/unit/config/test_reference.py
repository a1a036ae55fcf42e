"""The page of all settings is made from their declarations, and the one in the repository is of today."""

from __future__ import annotations

from pathlib import Path

from torana.config.reference import page
from torana.config.settings import SETTINGS
from torana.config.unavailable import HIDDEN

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


def test_the_page_in_the_repository_is_of_today() -> None:
    assert PAGE.read_text() == page(), "run: make docs"


def test_it_has_every_setting_that_works() -> None:
    text = page()
    shown = {setting.name for setting in SETTINGS if f"\n### {setting.name}\n" in text}
    assert shown == {setting.name for setting in SETTINGS} - set(HIDDEN)
