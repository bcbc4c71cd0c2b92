"""The book itself: every notebook executes, keeps its contract, and is bound into pages that need no network."""

import subprocess

import pytest

from hggbook import paths
from hggbook.workbook import results, runner, site


def git_status() -> str | None:
    # the sources are left out, so that editing them while the book runs fails no test
    command = ["git", "status", "--porcelain", "--", ".", ":!hggbook", ":!tests"]
    done = subprocess.run(command, cwd=paths.project_root(), capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


@pytest.mark.slow
def test_the_smoke_book(tmp_path, monkeypatch):
    names = [path.stem for path in sorted(paths.notebooks_folder().glob("[0-9][0-9]_*.ipynb"))]
    if not names:
        pytest.skip("notebooks/ is empty")
    monkeypatch.delenv(paths.DATA_VARIABLE, raising=False)  # as on a machine without any download
    before = git_status()
    run = runner.run_book("smoke", out=tmp_path / "smoke")
    assert {item.name: item.problems for item in run.notebooks if item.problems} == {}
    assert [item.name for item in run.notebooks] == names

    pages = sorted(run.folder.glob("*.html"))
    assert [page.stem for page in pages] == sorted([*names, "index"])
    assert {page.name: site.page_problems(page) for page in pages if site.page_problems(page)} == {}

    recorded = {item.notebook: item for item in results.load_all(run.folder / "results")}
    assert set(recorded) == set(names)
    assert {name for name, item in recorded.items() if item.profile != "smoke" or item.figures == 0} == set()
    assert git_status() == before
