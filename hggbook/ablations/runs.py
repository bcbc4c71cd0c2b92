"""Runs of a study on disk and over processes: where a result lies, what it rests on, all rows with all seeds."""

import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from hggbook import paths
from hggbook.ablations.rows import Row
from hggbook.config import Config
from hggbook.model import HGG, load_weights

Result = dict[str, Any]
AStudy = TypeVar("AStudy")


def place_of(folder: Path, track: str, row: str, seed: int) -> Path:
    """Where a run's result is written; its weights and log lie in the folder of the same name without an ending."""
    return folder / track / paths.slug(row) / f"seed{seed}.json"


def read_result(place: Path) -> Result | None:
    """The result of a run, None if it has not been run. Not in the paper: bookkeeping."""
    return json.loads(place.read_text(encoding="utf-8")) if place.is_file() else None


def write_result(place: Path, told: Result) -> None:
    """Writes a run's result, whole or not at all. Not in the paper: bookkeeping."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with paths.whole_file(place) as temporary:
        temporary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def weights_of(place: Path) -> Path:
    """The weights of the run whose result is there. Not in the paper: bookkeeping."""
    return place.with_suffix("") / "weights.safetensors"


def runs_of(folder: Path, track: str, row: str) -> list[tuple[Result, tuple[HGG, Config]]]:
    """The runs of a row with their weights, by seed.

    Raises:
        ValueError: the row has not been run there.

    Not in the paper: bookkeeping.
    """
    places = sorted(place_of(folder, track, row, 0).parent.glob("seed*.json"))
    if not places:
        raise ValueError(f"{folder}: expected runs of row {row!r} on track {track} (hggbook ablate)")
    return [(read_result(place), load_weights(weights_of(place))) for place in places]


def run_rows(
    run: Callable[[AStudy, Row, int], Result], study: AStudy, rows: Sequence[Row], seeds: Sequence[int], *,
    jobs: int = 1, on_result: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Every row with every seed, those last that build on another row's weights.

    Args:
        run: one run; of a module, so that another process finds it.
        study: what it is given first.
        jobs: processes at once, each with one thread.
        on_result: called with each result as it comes.

    Raises:
        ValueError: rows that build on a row which is not among them.

    Not in the paper: the studies are ours.
    """  # fmt: skip
    names = {row.name for row in rows}
    if missing := {row.weights_of for row in rows if not (row.trained or row.goes_on)} - names:
        raise ValueError(f"rows: some only change what follows training and need the row {min(missing)!r} too")
    results = []
    for trained in (True, False):
        wave = [(row, seed) for seed in seeds for row in rows if row.trained == trained]
        if jobs == 1:
            for row, seed in wave:
                results.append(run(study, row, seed))
                on_result(results[-1])
            continue
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            for future in [pool.submit(run, study, row, seed) for row, seed in wave]:
                results.append(future.result())
                on_result(results[-1])
    return results
