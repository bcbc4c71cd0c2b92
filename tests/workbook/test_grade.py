"""Grading reads the verdicts out of an executed notebook, whatever the file is called."""

import json

import nbformat
import pytest
from nbformat import v4

from hggbook.cli import main
from hggbook.workbook import exercises
from hggbook.workbook.grade import grade

from .build import code, notebook


def verdict(name: str, state: str, message: str = "so"):
    record = {"id": name, "state": state, "message": message}
    return v4.new_output("display_data", {exercises.VERDICT_MIME: record, "text/plain": message})


def executed(folder, *outputs, name="05_graclus", file=None):
    """A notebook as it lies there after it ran: one cell with these outputs."""
    cell = code("answers", "...")
    cell.outputs, cell.execution_count = list(outputs), 3
    path = notebook(folder, name, cell)
    return path.rename(folder / file) if file else path


def states(found) -> dict[str, str]:
    return {item.id: item.state for item in found.items}


def test_the_last_verdict_counts_and_what_was_never_checked_is_unanswered(tmp_path):
    outputs = verdict("05.e1", "failed"), verdict("05.e1", "passed"), verdict("05.q2", "failed")
    found = grade(executed(tmp_path, *outputs, file="homework of Ada.ipynb"))
    assert found.notebook == "05_graclus"
    assert list(states(found)) == list(exercises.load("05"))
    assert states(found)["05.e1"] == "passed"
    assert states(found)["05.e2"] == "unanswered"
    assert found.passed("exercise") == (1, 4)
    assert found.passed("question") == (0, 3)
    assert "1 of 4 exercises, 0 of 3 questions passed" in found.text()


def test_outputs_that_are_no_verdicts_are_passed_over(tmp_path):
    broken = v4.new_output("display_data", {exercises.VERDICT_MIME: {"id": "05.e1", "state": "excellent"}})
    other = v4.new_output("stream", text="05.e1 passed")
    assert set(states(grade(executed(tmp_path, broken, other))).values()) == {"unanswered"}


def test_executing_anew_does_not_believe_what_the_file_says(tmp_path):
    path = executed(tmp_path, verdict("05.e1", "passed"))
    source = nbformat.read(path, as_version=4)
    source.cells[-2].source = 'ctx.check("05.q1", "b")\nctx.check("05.q2", ...)'
    nbformat.write(source, path)
    found = states(grade(path, run=True))
    assert found["05.e1"] == "unanswered"
    assert found["05.q1"] in ("passed", "failed")
    assert nbformat.read(path, as_version=4).cells[-2].outputs == source.cells[-2].outputs  # the file is left alone


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "nowhere.ipynb", "nowhere.ipynb: expected a notebook"),
        (lambda folder: notebook(folder, "05_graclus"), "was never executed"),
        (lambda folder: executed(folder, name="99_unknown"), "99_unknown has no exercises"),
        (lambda folder: _foreign(folder), "expected a notebook of this book"),
    ],
)
def test_what_cannot_be_graded_is_named(tmp_path, make, says):
    with pytest.raises(ValueError, match=says):
        grade(make(tmp_path))


def _foreign(folder):
    path = folder / "05_graclus.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("1 + 1", execution_count=1)]), path)
    return path


def test_the_command_grades_what_it_can_and_writes_json(tmp_path, capsys):
    good, bad = executed(tmp_path, verdict("05.e2", "passed", "right")), tmp_path / "nothing.ipynb"
    assert main(["grade", str(bad), str(good), "--json", str(tmp_path / "grades.json")]) == 2
    told = capsys.readouterr()
    assert "nothing.ipynb" in told.err
    assert "✓ 05.e2  passed: right" in told.out
    written = json.loads((tmp_path / "grades.json").read_text())
    assert [one["exercises"] for one in written] == [{"passed": 1, "of": 4}]
    assert written[0]["items"][1] == {"id": "05.e2", "kind": "exercise", "state": "passed", "message": "right"}
