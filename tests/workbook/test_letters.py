"""Exercises that ask for letters: how they are judged, and that the notebook lists the same letters."""

import importlib
import re

import pytest

from hggbook import paths
from hggbook.workbook.exercises import judge_letters

REASONS = {"a": "so it is", "b": "it is not", "c": "it is, too"}


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"a", "c"}, None), ("ac", None), (["C", " a"], None), ({"a", "b", "c"}, "b is out: it is not"),
        ({"a"}, "1 more"), (set(), "2 more"), ({"a", "x"}, "expected letters from a to c, got 'x'"),
        (3, "expected letters, such as {'a', 'b'}, got 3"),
    ],
)  # fmt: skip
def test_a_set_of_letters(answer, found):
    assert judge_letters(answer, REASONS, {"a", "c"}, "is out", "{number} more") == found


@pytest.mark.parametrize("number", ["07", "08", "10", "13"])
def test_the_notebook_lists_the_letters_that_have_a_reason(number):
    (path,) = paths.notebooks_folder().glob(f"{number}_*.ipynb")
    listed = re.findall(r"- \*\*([a-z])\*\* ", path.read_text(encoding="utf-8"))
    assert listed == sorted(importlib.import_module(f"hggbook.workbook.exercises.nb{number}").REASONS)
