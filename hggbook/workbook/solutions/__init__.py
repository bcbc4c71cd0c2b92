"""Solutions of the exercises, and plausible wrong answers that the checks must reject: one module a notebook.

Open these files after trying. ``nb05.py`` holds ``SOLUTIONS``, a `Solution` for every exercise of notebook 05.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Solution:
    """The right answer to one exercise and answers that look right and are not.

    Attributes:
        answer: what `check` must accept.
        wrong: name of the mistake -> an answer that makes it; at least two.
    """

    answer: Any
    wrong: Mapping[str, Any]


def load(notebook: str) -> dict[str, Solution]:
    """Solutions of one notebook by exercise; empty if it has none. ``notebook``: number, or number and name.

    Not in the paper: it is the workbook's own machinery.
    """
    name = f"{__name__}.nb{notebook[:2]}"
    if importlib.util.find_spec(name) is None:
        return {}
    return dict(importlib.import_module(name).SOLUTIONS)
