"""The book itself: every notebook executes, keeps its contract, and is bound into pages that need no network."""

import subprocess

import pytest

from hggbook import paths
from hggbook.workbook import results, runner, site

NOTEBOOKS = sorted(paths.notebooks_folder().glob("[0-9][0-9]_*.ipynb"))


def git_status() -> str | None:
    done = subprocess.run(
        ["git", "status", "--porcelain"], cwd=paths.project_root(), capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else None


@pytest.mark.slow
@pytest.mark.skipif(not NOTEBOOKS, reason="notebooks/ is empty")
def test_the_smoke_book(tmp_path, monkeypatch):
    monkeypatch.delenv(paths.DATA_VARIABLE, raising=False)  # as on a machine without any download
    before = git_status()
    run = runner.run_book("smoke", out=tmp_path / "smoke")
    assert {item.name: item.problems for item in run.notebooks if item.problems} == {}
    assert [item.name for item in run.notebooks] == [path.stem for path in NOTEBOOKS]

    pages = sorted(run.folder.glob("*.html"))
    assert [page.stem for page in pages] == sorted([path.stem for path in NOTEBOOKS] + ["index"])
    assert {page.name: site.page_problems(page) for page in pages if site.page_problems(page)} == {}

    recorded = {item.notebook: item for item in results.load_all(run.folder / "results")}
    assert set(recorded) == {path.stem for path in NOTEBOOKS}
    assert {name for name, item in recorded.items() if item.profile != "smoke" or item.figures == 0} == set()
    assert git_status() == before
