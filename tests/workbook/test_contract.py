"""The contract finds every breach that it names, in made-up notebooks and in the book's own."""

import nbformat
import pytest
from nbformat import v4

from hggbook import paths
from hggbook.workbook import contract

from .build import code, notebook, text


def problems_of(tmp_path, *cells, change=None, **named) -> list[str]:
    path = notebook(tmp_path, "05_graclus", *cells, **named)
    if change:
        source = nbformat.read(path, as_version=4)
        change(source)
        nbformat.write(source, path)
    return contract.source_problems(path)


def test_a_notebook_as_it_should_be(tmp_path):
    assert problems_of(tmp_path, text("why", "![a graph](graph.png)"), code("sum", "1 + 1")) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("out = widgets.Output()", "cell x: widgets.Output stalls"),
        ("from ipywidgets import interact", "cell x: interact stalls"),
        ("w = interactive(f, x=1)", "cell x: interact stalls"),
        ("plt.show()", "cell x: plt.show shows a picture without alt text"),
        ("%matplotlib inline", "cell x: magics"),
        ("from tqdm.notebook import tqdm", "cell x: magics"),
    ],
)
def test_forbidden_calls(tmp_path, source, expected):
    (found,) = problems_of(tmp_path, code("x", source))
    assert found.startswith(expected)


@pytest.mark.parametrize("source", ["interaction = GNN()", "output = model(x)", "interacting_nodes = 3"])
def test_words_that_only_look_forbidden(tmp_path, source):
    assert problems_of(tmp_path, code("x", source)) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("![](graph.png)", "a picture without alt text"),
        ('<img src="graph.png">', "a picture without alt text"),
        ('<img src="https://example.org/a.png" alt="a graph">', "a picture from the network"),
        ("![badge](https://example.org/a.svg)", "a picture from the network"),
    ],
)
def test_pictures_in_the_text(tmp_path, source, expected):
    assert problems_of(tmp_path, text("x", source)) == [f"cell x: {expected}"]


def test_links_between_notebooks_must_lead_somewhere(tmp_path):
    cell = text("x", "[this one](05_graclus.ipynb#ties), [none](06_nowhere.ipynb)")
    assert problems_of(tmp_path, cell) == ["cell x: dead link to 06_nowhere.ipynb"]


def _set_kernel(source):
    source.metadata.kernelspec.name = "hgg"


def _add_output(source):
    source.cells[1].outputs = [v4.new_output("stream", text="left over")]


def _count(source):
    source.cells[1].execution_count = 3


def _add_widgets(source):
    source.metadata.widgets = {}


def _untag(source):
    source.cells[1].metadata.tags = []


def _rename_parameter(source):
    source.cells[1].source = 'profil = "smoke"\nseed = 0\ndata_root = None'


def _other_setup(source):
    source.cells[2].source = 'ctx = setup("06_hierarchical_grouping", profile, seed, data_root)'


def _untitle(source):
    source.cells[0].source = "no heading"


def _number_ids(source):
    source.cells[0].id = "0"


def _expect_error(source):
    source.cells[2].metadata.tags = ["raises-exception"]


def _old_format(source):
    source.nbformat_minor = 4


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_set_kernel, "kernel 'hgg', expected 'python3'"),
        (_add_output, "cell parameters: outputs are not stripped"),
        (_count, "cell parameters: outputs are not stripped"),
        (_add_widgets, "metadata widgets left by a tool"),
        (_untag, "the first code cell is not tagged 'parameters'"),
        (_rename_parameter, "parameters profil, seed, data_root: expected profile, seed, data_root"),
        (_other_setup, 'the second code cell does not call setup("05_graclus"'),
        (_untitle, "no title"),
        (_number_ids, "cell ids '0': expected different names"),
        (_expect_error, "cell setup: papermill fails a cell tagged raises-exception"),
    ],
)
def test_what_surrounds_the_cells(tmp_path, change, expected):
    (found,) = problems_of(tmp_path, change=change)
    assert found.startswith(expected)


def test_a_notebook_that_never_finishes(tmp_path):
    assert problems_of(tmp_path, finish=False) == ["the last code cell does not call ctx.finish()"]


def test_a_file_that_is_no_notebook_is_named(tmp_path):
    path = tmp_path / "05_graclus.ipynb"
    for content in ("", "{", "[]"):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"05_graclus\.ipynb: expected a notebook"):
            contract.source_problems(path)
    with pytest.raises(ValueError, match="expected a notebook"):
        contract.source_problems(tmp_path / "absent.ipynb")


def executed(*outputs, duration: float = 0.1):
    cell = code("x", "...")
    cell.outputs = list(outputs)
    cell.metadata.papermill = {"duration": duration}
    return v4.new_notebook(cells=[text("t", "# T"), cell])


def test_an_executed_notebook_as_it_should_be():
    good = executed(
        v4.new_output("stream", name="stdout", text="fine"),
        v4.new_output("display_data", {"text/html": '<img src="data:image/png;base64,AA" alt="a graph">'}),
    )
    assert contract.run_problems(good, 60) == []


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (v4.new_output("stream", name="stderr", text="UserWarning: odd"), "wrote to stderr: UserWarning: odd"),
        (v4.new_output("error", ename="ValueError", evalue="\x1b[31mno\x1b[0m", traceback=[]), "ValueError: no"),
        (v4.new_output("error", ename="AssertionError", evalue="", traceback=[]), "AssertionError"),
        (v4.new_output("display_data", {"image/png": "AA", "text/plain": "<Figure>"}), "a bare picture has no alt"),
        (v4.new_output("display_data", {"text/html": '<img src="data:,">'}), "a picture without alt text"),
    ],
)
def test_what_an_executed_cell_did_wrong(output, expected):
    (found,) = contract.run_problems(executed(output), 60)
    assert found.startswith(f"cell x: {expected}")


def test_a_cell_that_reached_its_time_out_failed_even_if_it_says_nothing():
    assert contract.run_problems(executed(duration=60.2), 60) == ["cell x: reached the time-out of 60 s"]


def test_the_books_own_notebooks_keep_the_contract():
    found = {path.name: contract.source_problems(path) for path in sorted(paths.notebooks_folder().glob("*.ipynb"))}
    assert {name: problems for name, problems in found.items() if problems} == {}
