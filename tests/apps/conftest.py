"""Failed tests show their server's log."""

from tests.support.show_log import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]
