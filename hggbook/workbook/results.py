"""Recorded results: what a notebook measured, with everything needed to measure it again.

One JSON file a notebook, ``runs/<profile>/results/<nn>.json``. The index page, the report and the tests read these
files and nothing else; no number is copied by hand.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hggbook import paths


@dataclass(frozen=True)
class Record:
    """One result.

    Attributes:
        name: what was measured, e.g. ``ap/hgg``; records whose names share the part before ``/`` form one table.
        value: number, text, or a list or mapping of these.
        meta: how it was measured: number of images, claim, unit, setting.
    """

    name: str
    value: Any
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """Everything that one notebook recorded in one run.

    Attributes:
        notebook: its number and name, e.g. ``05_graclus``.
        profile: smoke, cpu or full; a number is never shown without it.
        seed: of the run.
        records: in the order in which they were made.
        exercises: passed and answered exercises, for a student's own copy.
        figures: how many pictures were shown.
        wall_s: seconds from set-up to the end.
        provenance: versions, commit, device, time.
    """

    notebook: str
    profile: str
    seed: int
    records: tuple[Record, ...]
    exercises: dict[str, str]
    figures: int
    wall_s: float
    provenance: dict[str, Any]

    @property
    def number(self) -> str:
        """The two digits that the notebook's name starts with: name of its results file."""
        return self.notebook.split("_", 1)[0]


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: tensors and arrays become numbers and lists.

    Raises:
        ValueError: of a type that JSON has no form for, or a number that is not finite (JSON has none either).

    Not in the paper: housekeeping.
    """
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        raise ValueError(f"result: expected a finite number, got {value}; record None where there is no value")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"result: expected numbers, text, lists or mappings, got {type(value).__name__}")


def write_text(path: Path, text: str) -> None:
    """Write a whole file or none of it: to a temporary name beside it, then renamed. Not in the paper: housekeeping."""
    with paths.whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def save(results: Results, folder: Path) -> Path:
    """Write ``<folder>/<nn>.json`` atomically and return its path.

    Raises:
        ValueError: a record holds what JSON cannot (see `plain`).

    Not in the paper: housekeeping.
    """
    path = folder / f"{results.number}.json"
    write_text(path, json.dumps(plain(results), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def load(path: Path) -> Results:
    """Inverse of `save`.

    Raises:
        ValueError: not a results file; the file is named.

    Not in the paper: housekeeping.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        records = tuple(Record(**record) for record in values.pop("records"))
        return Results(records=records, **values)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: expected a results file of hggbook, got {type(error).__name__}: {error}") from None


def load_all(folder: Path) -> tuple[Results, ...]:
    """The results of every notebook in ``folder``, in order; empty if the folder does not exist.

    Not in the paper: housekeeping.
    """
    return tuple(load(path) for path in sorted(folder.glob("[0-9][0-9].json")))
