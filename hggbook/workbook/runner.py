"""The book runner: executes notebooks with papermill, strictly, and binds what came out.

Strict, because papermill alone is not: it takes a mistyped parameter for a remark in its log and runs the defaults; it
accepts a cell that stalled until its time-out; it starts in the caller's folder; and it does not mind stderr.
"""

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from hggbook import paths
from hggbook.workbook import contract, results, site
from hggbook.workbook.notebook import PROFILES

CELL_TIMEOUT = {"smoke": 180.0, "cpu": 3600.0, "full": 24 * 3600.0}


@dataclass(frozen=True)
class NotebookRun:
    """How one notebook went.

    Attributes:
        name: number and name, e.g. ``05_graclus``.
        title: its first heading.
        seconds: wall time, the start of the kernel included.
        problems: what went wrong, one sentence each; empty if nothing did.
    """

    name: str
    title: str
    seconds: float
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.problems


@dataclass(frozen=True)
class BookRun:
    """How a run of the book went: its profile, its folder, and every notebook of it."""

    profile: str
    folder: Path
    notebooks: tuple[NotebookRun, ...]

    @property
    def passed(self) -> bool:
        return all(run.passed for run in self.notebooks)

    @property
    def index(self) -> Path:
        return self.folder / "index.html"


def check_parameters(path: Path, parameters: dict[str, Any]) -> None:
    """Compare parameters with those that a notebook has.

    Raises:
        ValueError: a parameter that the notebook does not have; the known ones are named.

    Not in the paper: it is the workbook's own machinery.
    """
    known = set(papermill.inspect_notebook(str(path)))
    if unknown := sorted(set(parameters) - known):
        raise ValueError(
            f"{path.name}: unknown parameter {', '.join(unknown)}; known: {', '.join(sorted(known)) or 'none'}"
        )


def check_kernel() -> None:
    """Make sure that the kernel ``python3`` is this very Python.

    Raises:
        ValueError: no such kernel, or one that runs another interpreter.

    Not in the paper: it is the workbook's own machinery.
    """
    python = paths.kernel_python()
    if python is None or not paths.same_python(python, sys.executable):
        raise ValueError(f"kernel {paths.KERNEL}: expected {sys.executable}, got {python}; see `hggbook doctor`")


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """The kernel inherits this process's environment, and papermill has no other door for it."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def run_notebook(
    path: Path,
    out: Path,
    parameters: dict[str, Any],
    timeout: int | float,
    *,
    run: Path | None = None,
    working_folder: Path | None = None,
) -> NotebookRun:
    """Execute one notebook and leave the executed copy at ``out``, whole or not at all, also when a cell failed.

    Args:
        path: the notebook.
        out: where the executed one goes.
        parameters: values for its parameters cell.
        timeout: seconds a cell may take.
        run: folder of the run, told to the notebook as HGGBOOK_RUN; default: the folder of ``out``.
        working_folder: where the kernel starts; default: the folder of ``path``.

    Returns:
        How it went; a failing cell, stderr, a cell at its time-out, a picture without alt text and a results file that
        was not written are `problems`, not exceptions.

    Raises:
        ValueError: no notebook, an unknown parameter, or no kernel ``python3`` of this Python.

    Not in the paper: it is the workbook's own machinery.
    """
    path, out = path.resolve(), out.resolve()  # papermill changes the folder while it runs
    source = contract.read(path)
    check_parameters(path, parameters)
    check_kernel()
    run = (run or out.parent).resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    recorded = run / "results" / f"{path.name[:2]}.json"
    recorded.unlink(missing_ok=True)  # so that a result of an earlier run is never taken for one of this run

    started = time.monotonic()
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="hggbook-") as scratch:
        executed = Path(scratch) / path.name
        changes = {
            paths.RUN_VARIABLE: str(run),
            paths.HOME_VARIABLE: str(paths.project_root()),
            "OMP_NUM_THREADS": "1",
            "PYTHONHASHSEED": "0",  # the order of sets of text is part of a run, too
            "IPYTHONDIR": scratch,  # a reader's own start-up files are no part of the book
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        with _environment(changes):
            try:
                _execute(path, executed, parameters, timeout, working_folder or path.parent)
            except PapermillExecutionError:
                pass  # the failed cell's output says it, and run_problems finds it
            except CellTimeoutError:
                problems.append(f"a cell took longer than {timeout:g} s")
            except (DeadKernelError, RuntimeError) as error:
                problems.append(f"{type(error).__name__}: {error}")
        notebook = contract.read(executed) if executed.exists() else source
        problems += contract.run_problems(notebook, timeout)
        if not problems and not recorded.exists():
            problems.append(f"no results written to results/{recorded.name}: does the last cell call ctx.finish()?")
        results.write_text(out, nbformat.writes(notebook) + "\n")
    seconds = round(time.monotonic() - started, 1)
    return NotebookRun(path.stem, contract.title(source) or path.stem, seconds, tuple(dict.fromkeys(problems)))


def _execute(path, executed, parameters, timeout, folder):
    """One try, and a second one only if the kernel did not even start, which a crowded machine does now and then."""
    for attempt in (1, 2):
        try:
            papermill.execute_notebook(
                str(path),
                str(executed),
                parameters=parameters,
                kernel_name=paths.KERNEL,
                cwd=str(folder),
                progress_bar=False,
                execution_timeout=timeout,
                start_timeout=120,
                extra_arguments=["--log-level=CRITICAL"],  # the kernel's own remarks are none of the notebook's
            )
            return
        except RuntimeError as error:
            if attempt == 2 or "before replying to kernel_info" not in str(error):
                raise


def find_notebooks(names: Sequence[str] | None = None, folder: Path | None = None) -> list[Path]:
    """The notebooks of the book in order, or those named.

    Args:
        names: numbers or names, e.g. ``["05", "06_hierarchical_grouping"]``; None means all.
        folder: where they lie; default: ``notebooks/``.

    Raises:
        ValueError: there are none, or a name fits none; the known ones are named.

    Not in the paper: it is the workbook's own machinery.
    """
    folder = folder or paths.notebooks_folder()
    found = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise ValueError(f"{folder}: expected notebooks named like 05_graclus.ipynb, found none")
    if names is None:
        return found
    chosen = []
    for name in names:
        fitting = [path for path in found if name.removesuffix(".ipynb") in (path.stem, path.stem[:2])]
        if not fitting:
            raise ValueError(f"notebook {name!r}: expected one of {', '.join(path.stem for path in found)}")
        chosen += fitting
    return sorted(set(chosen))


def run_book(
    profile: str = "smoke",
    notebooks: Sequence[str] | None = None,
    out: Path | None = None,
    *,
    seed: int = 0,
    data_root: str | None = None,
    timeout: int | float | None = None,
    folder: Path | None = None,
    with_solutions: bool = True,
) -> BookRun:
    """Execute the book's notebooks in order, record how each went, and bind the pages.

    Writes to ``out``: ``notebooks/*.ipynb`` (executed), ``results/*.json``, ``book.json`` (how each went), one page a
    notebook and ``index.html``. A notebook that fails does not stop the others. Prints a line a notebook.

    Args:
        profile: ``smoke``, ``cpu`` or ``full``.
        notebooks: which (see `find_notebooks`); None means all. Those left out keep what an earlier run of the same
            profile left in ``out``.
        out: folder of the run; default ``runs/<profile>``.
        seed, data_root: passed to the notebooks.
        timeout: seconds a cell may take; default by profile.
        folder: where the notebooks lie; default: ``notebooks/``.
        with_solutions: the pages show solutions, folded.

    Returns:
        How the notebooks of **this** run went.

    Raises:
        ValueError: unknown profile or notebook, no kernel; nothing is executed then.

    Not in the paper: it is the workbook's own machinery.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile: expected one of {', '.join(PROFILES)}, got {profile!r}")
    chosen = find_notebooks(notebooks, folder)
    check_kernel()
    out = (out or paths.runs_folder() / profile).resolve()
    timeout = CELL_TIMEOUT[profile] if timeout is None else timeout
    parameters = {"profile": profile, "seed": seed, "data_root": data_root}
    for path in chosen:
        check_parameters(path, parameters)

    earlier = {run.name: run for run in _earlier_runs(out, profile)}
    done: list[NotebookRun] = []
    try:
        for path in chosen:
            print(f"{path.stem:32s}", end="", flush=True)
            done.append(run_notebook(path, out / "notebooks" / path.name, parameters, timeout, run=out))
            print(f"{'passed' if done[-1].passed else 'FAILED':8s}{done[-1].seconds:7.1f} s", flush=True)
            for problem in done[-1].problems:
                print(f"    {problem}", flush=True)
    finally:  # after Ctrl-C the pages of the notebooks that were done are still bound
        every = {**earlier, **{run.name: run for run in done}}
        known = [every[path.stem] for path in find_notebooks(None, folder) if path.stem in every]
        written = {"profile": profile, "notebooks": [asdict(run) for run in known]}
        results.write_text(out / "book.json", json.dumps(written, indent=1) + "\n")
        chapters = [site.Chapter(r.name, r.title, r.seconds, r.problems) for r in known]
        site.bind(out, profile, chapters, with_solutions=with_solutions)
    run = BookRun(profile, out, tuple(done))
    passed = sum(item.passed for item in done)
    print(f"{passed} of {len(done)} notebooks passed")
    return run


def _earlier_runs(out, profile):
    """What an earlier run of the same profile left, for a run of a few notebooks only; nothing if it cannot be read."""
    try:
        values = json.loads((out / "book.json").read_text(encoding="utf-8"))
        if values["profile"] != profile:
            return []
        return [NotebookRun(**{**run, "problems": tuple(run["problems"])}) for run in values["notebooks"]]
    except (OSError, json.JSONDecodeError, KeyError, TypeError):
        return []
