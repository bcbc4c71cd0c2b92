"""The runner is strict where papermill is not: parameters, kernel, folder, stderr, time-outs, results."""

import json
import os
import time
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from hggbook import paths
from hggbook.workbook import contract, results, runner, site

from .build import PARAMETERS, code, notebook, text

FRAMES = """
import matplotlib.pyplot as plt
from hggbook import widgets

def draw(k):
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.bar(range(k + 1), range(1, k + 2))
    return widgets.frame(figure, alt=f"{k + 1} bars, each higher than the last.")

ctx.stepper([draw(k) for k in range(3)], label="bars")
ctx.explorer(draw, {"k": widgets.Slider(0, 8, 1, 4, "bars")}, label="explorer", static=[{"k": 6}])
ctx.show(plt.figure(figsize=(1, 1)), alt="An empty figure, nothing else.")
"""

WHERE = """
import os, pathlib
ctx.record("place/folder", pathlib.Path.cwd().name)
ctx.record("place/profile", profile)
ctx.record("place/seed", seed)
ctx.record("place/threads", os.environ["OMP_NUM_THREADS"])
ctx.check("05.q1", "b")
"""


def bare(folder: Path, name: str, *sources: str) -> Path:
    """A notebook without `setup`, whose kernel therefore starts in a second."""
    cells = [text("title", f"# {name}"), code("parameters", PARAMETERS, "parameters")]
    cells += [code(f"cell-{at}", source) for at, source in enumerate(sources)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.ipynb"
    nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A book of one good notebook and one that fails, run from an unrelated folder."""
    sources = tmp_path_factory.mktemp("sources")
    out = tmp_path_factory.mktemp("out") / "smoke"
    notebook(sources, "05_graclus", code("frames", FRAMES), code("where", WHERE), title="Graclus")
    bare(sources, "06_broken", "raise ValueError('on purpose')", "never = 'run'")
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    try:
        run = runner.run_book("smoke", out=out, folder=sources, seed=3)
    finally:
        os.chdir(before)
    return run


def test_a_failure_is_named_and_does_not_stop_the_others(book):
    good, broken = book.notebooks
    assert good.problems == ()
    assert good.passed
    assert broken.problems == ("cell cell-0: ValueError: on purpose",)
    assert not book.passed
    assert (good.title, broken.title) == ("Graclus", "06_broken")


def test_the_notebook_ran_in_its_own_folder_with_the_parameters_given(book):
    found = results.load(book.folder / "results" / "05.json")
    values = {record.name: record.value for record in found.records}
    assert values["place/folder"].startswith("sources")
    assert (values["place/profile"], values["place/seed"], found.seed) == ("smoke", 3, 3)
    assert values["place/threads"] == "1"
    assert found.exercises["05.q1"] == "passed"
    assert found.figures == 6


def test_executed_notebooks_are_left_also_of_a_failed_one(book):
    good = nbformat.read(book.folder / "notebooks" / "05_graclus.ipynb", as_version=4)
    assert contract.run_problems(good, 180) == []
    assert good.metadata.kernelspec.name == "python3"
    broken = (book.folder / "notebooks" / "06_broken.ipynb").read_text()
    assert "on purpose" in broken


def test_every_page_holds_what_it_must_and_loads_nothing(book):
    assert sorted(path.name for path in book.folder.glob("*.html")) == [
        "05_graclus.html",
        "06_broken.html",
        "index.html",
        "search.html",
    ]
    for path in book.folder.glob("*.html"):
        assert site.page_problems(path) == []
    page = (book.folder / "05_graclus.html").read_text()
    for k in (1, 2, 3, 5, 7):  # three frames of the stepper, the explorer's first and its chosen one
        assert f'alt="{k} bars, each higher than the last."' in page
    assert "widget-view" not in page
    broken = (book.folder / "06_broken.html").read_text()
    assert "on purpose" in broken
    assert "papermill" not in broken  # its banner would say the same a second and a third time


def test_how_each_went_is_written_down(book):
    written = json.loads((book.folder / "book.json").read_text())
    assert written["profile"] == "smoke"
    assert [(item["name"], bool(item["problems"])) for item in written["notebooks"]] == [
        ("05_graclus", False),
        ("06_broken", True),
    ]


def test_running_one_notebook_again_keeps_the_others_and_drops_its_stale_result(book, tmp_path, monkeypatch):
    sources = tmp_path / "sources"
    bare(sources, "05_graclus", "1 + 1")
    bare(sources, "06_broken", "1 + 1")
    run = runner.run_book("smoke", ["06"], out=book.folder, folder=sources)
    assert [item.name for item in run.notebooks] == ["06_broken"]
    index = run.index.read_text()
    assert "05_graclus.html" in index
    assert (book.folder / "results" / "05.json").exists()
    (problem,) = run.notebooks[0].problems
    assert problem == "no results written to results/06.json: does the last cell call ctx.finish()?"


def test_stderr_fails_a_notebook(tmp_path):
    path = bare(tmp_path, "05_graclus", "import sys; print('odd', file=sys.stderr)")
    run = runner.run_notebook(path, tmp_path / "out" / "05.ipynb", {}, 60)
    assert run.problems == ("cell cell-0: wrote to stderr: odd",)


def test_a_cell_that_takes_too_long_fails_at_its_time_out(tmp_path):
    path = bare(tmp_path, "05_graclus", "import time; time.sleep(60)")
    started = time.monotonic()
    run = runner.run_notebook(path, tmp_path / "out" / "05.ipynb", {}, 2)
    assert time.monotonic() - started < 30
    assert any("took longer than 2 s" in problem for problem in run.problems)


def test_a_kernel_that_dies_is_a_problem_and_not_a_crash(tmp_path):
    path = bare(tmp_path, "05_graclus", "import os; os._exit(1)")
    run = runner.run_notebook(path, tmp_path / "out" / "05.ipynb", {}, 60)
    assert not run.passed
    assert (tmp_path / "out" / "05.ipynb").exists()


def test_an_unknown_parameter_is_refused_before_anything_runs(tmp_path):
    path = bare(tmp_path, "05_graclus", "open('ran', 'w')")
    message = r"05_graclus\.ipynb: unknown parameter profil; known: data_root, profile, seed"
    with pytest.raises(ValueError, match=message):
        runner.run_notebook(path, tmp_path / "out.ipynb", {"profil": "smoke"}, 60)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["05_graclus.ipynb"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("smokey",), "profile: expected one of smoke, cpu, full, got 'smokey'"),
        (("smoke", ["99"]), "notebook '99': expected one of 05_graclus"),
    ],
)
def test_a_book_that_cannot_be_run_leaves_nothing(tmp_path, arguments, message):
    bare(tmp_path / "sources", "05_graclus")
    with pytest.raises(ValueError, match=message):
        runner.run_book(*arguments, out=tmp_path / "out", folder=tmp_path / "sources")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_notebooks_is_named(tmp_path):
    with pytest.raises(ValueError, match="expected notebooks named like 05_graclus.ipynb, found none"):
        runner.find_notebooks(None, tmp_path)


def test_notebooks_are_found_by_number_and_by_name_in_order(tmp_path):
    for name in ("06_hierarchical_grouping", "00_start_here", "05_graclus"):
        bare(tmp_path, name)
    (tmp_path / "scratch.ipynb").write_text("{}")
    names = [path.stem for path in runner.find_notebooks(None, tmp_path)]
    assert names == ["00_start_here", "05_graclus", "06_hierarchical_grouping"]
    chosen = runner.find_notebooks(["06", "05_graclus", "05_graclus.ipynb"], tmp_path)
    assert [path.stem for path in chosen] == ["05_graclus", "06_hierarchical_grouping"]


@pytest.mark.parametrize("python", [None, "/usr/lib/another/bin/python"])
def test_another_kernel_is_refused(tmp_path, monkeypatch, python):
    monkeypatch.setattr(paths, "kernel_python", lambda: python)
    with pytest.raises(ValueError, match="kernel python3: expected .* see `hggbook doctor`"):
        runner.check_kernel()


def test_the_environment_is_as_before_after_a_run(book):
    assert paths.RUN_VARIABLE not in os.environ
    assert "IPYTHONDIR" not in os.environ
