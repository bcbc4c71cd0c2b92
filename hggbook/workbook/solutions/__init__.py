"""Solutions of the exercises, and plausible wrong answers that the checks must reject: one module a notebook.

Open these files after trying. ``nb05.py`` holds ``SOLUTIONS``, a `Solution` for every exercise of notebook 05.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pprint import pformat
from types import CodeType, FunctionType
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


def text(answer: Any) -> str:
    """A solution as it is shown to a reader: a function's source below that of its helpers, any other value as written.

    Args:
        answer: of a `Solution`; a function must lie in a module.

    Not in the paper: it is the workbook's own machinery.
    """
    if not isinstance(answer, FunctionType):
        return pformat(answer, width=100, sort_dicts=False)
    parts: dict[str, str] = {}
    _collect(answer, parts)
    return "\n\n".join(parts.values()).strip()


def _collect(function: FunctionType, parts: dict[str, str]) -> None:
    """Adds the source of a function after that of the functions and constants of its module which it uses."""
    module = sys.modules[function.__module__]
    parts[function.__name__] = ""  # known before its helpers are looked at: they may use it
    for name in _names(inspect.unwrap(function).__code__):
        value = vars(module).get(name)
        if name in parts or name not in vars(module):
            continue
        if isinstance(value, FunctionType) and value.__module__ == function.__module__:
            _collect(value, parts)
        elif name.isupper():
            parts[name] = f"{name} = {pformat(value, width=100)}\n"
    del parts[function.__name__]
    parts[function.__name__] = inspect.getsource(function)


def _names(code: CodeType) -> list[str]:
    inner = [name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part)]
    return [*code.co_names, *inner]
