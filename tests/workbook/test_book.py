"""The book itself: every notebook executes, keeps its contract, and is bound into pages that need no network."""

import os
import subprocess

import pytest

from hggbook import paths
from hggbook.workbook import results, runner, site

NAMES = [path.stem for path in runner.find_notebooks()]
NIGHTLY = bool(os.environ.get("HGGBOOK_NIGHTLY"))  # make nightly
REPEATED = NAMES if NIGHTLY else [name for name in NAMES if name[:2] in ("05", "07")]


def git_status() -> str | None:
    # the sources are left out, so that editing them while the book runs fails no test
    command = ["git", "status", "--porcelain", "--", ".", ":!hggbook", ":!tests"]
    done = subprocess.run(command, cwd=paths.project_root(), capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


@pytest.fixture(scope="module")
def status_before() -> str | None:
    return git_status()


@pytest.mark.slow
def test_the_smoke_book(status_before, smoke_book):
    assert {item.name: item.problems for item in smoke_book.notebooks if item.problems} == {}
    assert [item.name for item in smoke_book.notebooks] == NAMES

    pages = sorted(smoke_book.folder.glob("*.html"))
    assert [page.stem for page in pages] == sorted([*NAMES, "index", "search"])
    assert {page.name: site.page_problems(page) for page in pages if site.page_problems(page)} == {}

    recorded = {item.notebook: item for item in results.load_all(smoke_book.folder / "results")}
    assert set(recorded) == set(NAMES)
    assert {name for name, item in recorded.items() if item.profile != "smoke" or item.figures == 0} == set()
    assert git_status() == status_before


@pytest.mark.slow
@pytest.mark.parametrize("name", REPEATED)
def test_a_notebook_repeated_in_another_folder_gives_the_same_results(name, smoke_book, tmp_path, monkeypatch):
    monkeypatch.delenv(paths.DATA_VARIABLE, raising=False)
    parameters = {"profile": "smoke", "seed": 0, "data_root": None}
    again = tmp_path / "run" / "notebooks" / f"{name}.ipynb"
    source, timeout = paths.notebooks_folder() / again.name, runner.CELL_TIMEOUT["smoke"]
    run = runner.run_notebook(source, again, parameters, timeout, run=tmp_path / "run", working_folder=tmp_path)
    assert run.problems == ()
    first, second = (
        {item.notebook: item for item in results.load_all(folder / "results")}[name]
        for folder in (smoke_book.folder, tmp_path / "run")
    )
    # shares of time differ from run to run and are marked by those who record them
    kept = [[record for record in item.records if not record.meta.get("timed")] for item in (first, second)]
    assert kept[0] == kept[1]
    assert [record.name for record in second.records] == [record.name for record in first.records]
    assert (second.figures, second.exercises) == (first.figures, first.exercises)


@pytest.mark.slow
@pytest.mark.skipif(not NIGHTLY, reason="takes minutes: make nightly")
@pytest.mark.parametrize("number", range(20))
def test_a_notebook_with_widgets_never_stalls(number, tmp_path):
    (name,) = (name for name in NAMES if name.startswith("05"))
    parameters = {"profile": "smoke", "seed": number, "data_root": None}
    source, timeout = paths.notebooks_folder() / f"{name}.ipynb", runner.CELL_TIMEOUT["smoke"]
    run = runner.run_notebook(source, tmp_path / f"{name}.ipynb", parameters, timeout, run=tmp_path)
    assert run.problems == ()
