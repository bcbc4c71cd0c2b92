"""What a reader's executed notebook says about its exercises: for a teacher who collects notebooks, or for oneself.

The verdicts are those that `ctx.check` left in the outputs when the notebook ran. Outputs can be edited by hand;
whoever minds executes the notebook anew (``run=True``), which runs whatever code is in it.
"""

import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from hggbook.workbook import contract, exercises
from hggbook.workbook.runner import CELL_TIMEOUT, run_notebook

EXERCISE, QUESTION = "exercise", "question"
_SIGNS = {"passed": "✓", "failed": "✗", "unanswered": "○"}


@dataclass(frozen=True)
class Item:
    """One exercise or question: its id, its kind, its state (``passed``, ``failed`` or ``unanswered``), and why."""

    id: str
    kind: str
    state: str
    message: str


@dataclass(frozen=True)
class Grade:
    """What one notebook passed.

    Attributes:
        file: as it was named.
        notebook: whose exercises these are, e.g. ``05_graclus``, whatever the file is called.
        items: every exercise and question of that notebook, in its order.
    """

    file: str
    notebook: str
    items: tuple[Item, ...]

    def passed(self, kind: str) -> tuple[int, int]:
        """How many exercises (or questions) are passed, of how many."""
        states = [item.state for item in self.items if item.kind == kind]
        return states.count("passed"), len(states)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the items, and the sums."""
        sums = {f"{kind}s": dict(zip(("passed", "of"), self.passed(kind))) for kind in (EXERCISE, QUESTION)}
        return {"file": self.file, "notebook": self.notebook, **sums, "items": [asdict(item) for item in self.items]}

    def text(self) -> str:
        """For people: one line an item."""
        sums = ", ".join("{1} of {2} {0}s".format(kind, *self.passed(kind)) for kind in (EXERCISE, QUESTION))
        lines = [f"  {_SIGNS[item.state]} {item.id}  {item.state}: {item.message}" for item in self.items]
        return "\n".join([f"{self.file} ({self.notebook}): {sums} passed", *lines])


def grade(path: Path, *, run: bool = False) -> Grade:
    """Read which exercises an executed notebook passed.

    Args:
        path: the notebook, under any name.
        run: execute a copy anew first, profile ``smoke``, instead of believing the outputs in the file.

    Raises:
        ValueError: no notebook, none of this book, one without exercises, or one that was never executed.

    Not in the paper: it is the workbook's own machinery.
    """
    notebook = contract.read(path)
    name = _name(path, notebook)
    known = exercises.load(name)
    if not known:
        raise ValueError(f"{path}: notebook {name} has no exercises")
    if run:
        with tempfile.TemporaryDirectory(prefix="hggbook-") as scratch:
            copy = Path(scratch) / path.name
            run_notebook(path, copy, {"profile": "smoke"}, CELL_TIMEOUT["smoke"])
            notebook = contract.read(copy)
    elif not any(cell.get("execution_count") for cell in notebook.cells):
        raise ValueError(f"{path}: was never executed; run all its cells and save it, or grade it with --run")
    said = _verdicts(notebook)
    items = []
    for key, item in known.items():
        kind = QUESTION if isinstance(item, exercises.Question) else EXERCISE
        verdict = said.get(key, {"state": "unanswered", "message": "not checked"})
        items.append(Item(key, kind, verdict["state"], verdict["message"]))
    return Grade(str(path), name, tuple(items))


def _name(path: Path, notebook: NotebookNode) -> str:
    source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    found = re.search(r"""\bsetup\(\s*["'](\d\d_\w+)["']""", source)
    if not found:
        raise ValueError(f'{path}: expected a notebook of this book, which calls setup("05_graclus", ...) or the like')
    return found[1]


def _verdicts(notebook: NotebookNode) -> dict[str, dict[str, str]]:
    """The last verdict on each exercise, in the order of the cells."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [output.get("data", {}).get(exercises.VERDICT_MIME) for output in outputs]
    well_formed = [one for one in shown if isinstance(one, dict) and one.get("state") in _SIGNS]
    return {str(one.get("id")): {"state": one["state"], "message": str(one.get("message", ""))} for one in well_formed}


__all__ = ["Grade", "Item", "grade"]
