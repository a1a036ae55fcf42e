"""The report of marked tests, the page made of it, and that the page in docs/ is of applications that have tests."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.apps.grid.declared import SITES
from tests.apps.grid.page import CHECKS, render
from tests.support.server import REPOSITORY, child_environment

HERE = Path(__file__).parent
PAGE = REPOSITORY / "docs" / "apps.md"

#: Applications of this text only.
FOR_THESE_TESTS = {"pytest", "No such thing", "Else"}

MARKED = """
import pytest

pytestmark = pytest.mark.grid(app="pytest")

@pytest.fixture
def broken():
    assert False

@pytest.mark.grid(check="form")
def test_one():
    pass

@pytest.mark.grid(check="form")
@pytest.mark.parametrize("number", [1, 2])
def test_two(number):
    if number == 2:
        pytest.skip("no second form")

@pytest.mark.grid(check="upload")
def test_three():
    assert False

@pytest.mark.grid(check="streaming")
def test_four(broken):
    pass

@pytest.mark.grid(app="No such thing", check="form")
def test_five():
    pytest.skip("nothing is not installed")

@pytest.mark.grid(app="Else", check="clicks", package="httpx")
def test_six():
    pass
"""


def run_marked(place: Path, text: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """A pytest of its own with nothing but our plugin."""
    (place / "test_marked.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.grid_report", "-c", "/dev/null", *flags, "."]
    environment = child_environment({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    environment["PYTHONPATH"] += f":{REPOSITORY}"
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("jobs", [(), ("-p", "xdist", "-n", "1")], ids=["one process", "xdist"])
def test_report_and_its_page(tmp_path: Path, jobs: tuple[str, ...]) -> None:
    report = tmp_path / "some" / "report.json"
    ran = run_marked(tmp_path, MARKED, "--grid-report", str(report), *jobs)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    found = json.loads(report.read_text())
    rows = {(row["app"], row["check"], row["outcome"], row["reason"]) for row in found["rows"]}
    assert rows == {
        ("pytest", "form", "passed", ""),
        ("pytest", "form", "skipped", "no second form"),
        ("pytest", "upload", "failed", ""),
        ("pytest", "streaming", "failed", ""),
        ("No such thing", "form", "skipped", "nothing is not installed"),
        ("Else", "clicks", "passed", ""),
    }
    versions = {row["app"]: row["version"] for row in found["rows"]}
    assert versions["pytest"] == pytest.__version__
    assert versions["Else"] and not versions["No such thing"]
    page = render(found)
    assert f"| pytest | {pytest.__version__} | – | ✓ | **fails** | **fails** | – |" in page
    assert "| No such thing |  | – | skipped |" in page
    assert "- Else: clicks ✓" in page
    assert "- No such thing, form: nothing is not installed" in page
    assert "2 of 5 checks passed" in page


@pytest.mark.parametrize("mark", ['"Flask"', 'app="Flask"', 'app="Flask", check="form", since="today"'])
def test_mark_that_says_too_little_or_too_much(tmp_path: Path, mark: str) -> None:
    ran = run_marked(tmp_path, f"import pytest\n@pytest.mark.grid({mark})\ndef test_one(): pass\n")
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert "grid" in ran.stderr + ran.stdout


def rows_of_the_page() -> dict[str, list[str]]:
    """Cells by application, without the head of the table."""
    lines = [line.strip("| ").split(" | ") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    return {line[0]: line[1:] for line in lines[1:]}


def test_page_is_of_the_applications_that_have_tests() -> None:
    rows = rows_of_the_page()
    texts = [text for path in HERE.rglob("test_*.py") if "grid" in (text := path.read_text("utf-8"))]
    declared = {site.app for site in SITES}
    strange = [app for app in rows if app not in declared and not any(f'"{app}"' in text for text in texts)]
    assert not strange, "no test names them; make apps writes the page anew"
    marked = {app for text in texts for app in re.findall(r'mark\.grid\(\s*app="([^"]+)"', text)}
    assert (declared | marked) - rows.keys() - FOR_THESE_TESTS == set(), "make apps writes the page anew"


def test_page_shows_a_run_that_found_all_well() -> None:
    assert all(len(cells) == 1 + len(CHECKS) for cells in rows_of_the_page().values())
    assert "fails" not in PAGE.read_text("utf-8")
