"""What a notebook starts with: `setup` checks the profile, seeds everything and gives the notebook its `Context`.

The first code cell of a notebook is tagged ``parameters`` and holds ``profile``, ``seed`` and ``data_root``; the second
is, word for word the same in every notebook but for its name::

    from hggbook.workbook.notebook import setup

    ctx = setup("05_graclus", profile, seed, data_root)

The last one is ``ctx.finish()``.
"""

import logging
import random
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from IPython.display import HTML, display
from matplotlib.figure import Figure

from hggbook import paths, viz, widgets
from hggbook.provenance import provenance
from hggbook.workbook import exercises, results
from hggbook.workbook.upload import Upload

PROFILES = ("smoke", "cpu", "full")


class Context:
    """What a notebook needs besides the library: settings of the run, pictures, recorded results, exercises.

    Attributes:
        notebook: number and name, e.g. ``05_graclus``.
        profile: ``smoke`` (the whole book in minutes on a laptop), ``cpu`` (about an hour) or ``full`` (GPU, COCO).
        seed: of the run.
        data_root: folder of the real data sets, or None.
        results_folder: where `finish` writes.
        device: ``cuda`` in the profile ``full`` if there is one, else ``cpu``.

    Not in the paper: it is the workbook's own machinery.
    """

    def __init__(self, notebook: str, profile: str, seed: int, data_root: Path | None, results_folder: Path):
        self.notebook = notebook
        self.profile = profile
        self.seed = seed
        self.data_root = data_root
        self.results_folder = results_folder
        self.device = torch.device("cuda" if profile == "full" and torch.cuda.is_available() else "cpu")
        self._started = time.monotonic()
        self._records: dict[str, results.Record] = {}
        self._figures = 0
        self._uploads: dict[str, Upload] = {}
        self._checker = exercises.Checker(exercises.load(notebook))

    def pick(self, *, smoke: Any, cpu: Any, full: Any) -> Any:
        """The one of three settings that fits the profile; every cost of a notebook goes through here."""
        return {"smoke": smoke, "cpu": cpu, "full": full}[self.profile]

    def generator(self, stream: int = 0) -> torch.Generator:
        """A fresh random generator of this run; different ``stream``, different numbers."""
        return torch.Generator().manual_seed(int(np.random.SeedSequence([self.seed, stream]).generate_state(1)[0]))

    def show(self, figure: Figure, *, alt: str, caption: str = "") -> None:
        """Show a matplotlib figure with a text for readers who do not see it, and close it.

        The picture goes out as HTML with the text as ``alt``: JupyterLab and nbconvert drop the text that is given
        with a bare PNG.

        Raises:
            ValueError: no ``alt``, or one too short to say anything.
        """
        frame = widgets.frame(figure, alt=alt, caption=caption)
        self._figures += 1
        display({"text/html": widgets.figure_html(frame), "text/plain": frame.alt}, raw=True)

    def stepper(self, frames: list[widgets.Frame], *, label: str, interval: int = 900) -> None:
        """Show a sequence of pictures to step through; see `hggbook.widgets.stepper`."""
        self._figures += len(frames)
        widgets.stepper(frames, label=label, interval=interval)

    def explorer(self, render, controls, *, label: str, static=()) -> None:
        """Show a picture that follows its controls; see `hggbook.widgets.explorer`."""
        self._figures += widgets.explorer(render, controls, label=label, static=static)

    def chooser(self, render, options, advise, *, label: str) -> None:
        """Show a picture whose next step the reader chooses; see `hggbook.widgets.chooser`."""
        self._figures += widgets.chooser(render, options, advise, label=label)

    def upload(self, *, label: str) -> Upload:
        """Show a button to choose a picture file with; see `hggbook.workbook.upload`.

        A cell that is run again shows the same one, with the file that was chosen.
        """
        upload = self._uploads.setdefault(label, Upload(label))
        upload.show()
        return upload

    def table(self, header: list[str], rows: list[list[Any]], *, caption: str) -> None:
        """Show a small table as HTML with a caption and header cells; numbers keep three decimals."""
        display(HTML(widgets.table_html(header, rows, caption)))

    def record(self, name: str, value: Any, **meta: Any) -> None:
        """Keep one result for `finish` to write; a cell that is run again replaces its earlier result.

        Args:
            name: e.g. ``ap/hgg``; what stands before ``/`` names the table it belongs to.
            value: number, text, or lists and mappings of these; tensors are converted.
            meta: how it was measured, e.g. ``images=40, claim="C3"``.

        Raises:
            ValueError: the value is nothing that JSON can hold.
        """
        self._records[name] = results.Record(name, results.plain(value), results.plain(meta))

    def check(self, exercise: str, answer: Any) -> None:
        """Say whether an answer is right; a hint if not. Never raises for a wrong answer."""
        self._checker.check(exercise, answer)

    def quiz(self, question: str) -> None:
        """Show a quiz question with its choices; answer it with ``ctx.check(question, "b")``."""
        self._checker.quiz(question)

    def finish(self) -> None:
        """Write ``results/<nn>.json`` (whole or not at all) and say what was recorded."""
        outcome = results.Results(
            notebook=self.notebook,
            profile=self.profile,
            seed=self.seed,
            records=tuple(self._records.values()),
            exercises=self._checker.outcome(),
            figures=self._figures,
            wall_s=round(time.monotonic() - self._started, 2),
            provenance=provenance(),
        )
        results.save(outcome, self.results_folder)
        print(f"{len(outcome.records)} results recorded in results/{outcome.number}.json (profile {self.profile})")


def setup(notebook: str, profile: str = "smoke", seed: Any = 0, data_root: str | None = None) -> Context:
    """Prepare the kernel for one notebook and say what was chosen.

    Seeds Python, numpy and torch; asks torch for deterministic algorithms and one thread (two were measured slower on
    graphs of this size, and one gives the same sums everywhere); sets the style of the figures.

    Args:
        notebook: number and name, as the file is called, e.g. ``05_graclus``.
        profile: ``smoke``, ``cpu`` or ``full``.
        seed: any non-negative whole number; checked here, because a parameter can be anything.
        data_root: folder of the real data sets; None or "" means the environment variable HGGBOOK_DATA, or none.

    Returns:
        The notebook's `Context`. It writes to the folder HGGBOOK_RUN if set (the book runner sets it), else to
        ``runs/interactive``.

    Raises:
        ValueError: unknown profile, a seed that is no non-negative whole number, a data folder that does not exist, a
            notebook whose name does not start with two digits.

    Not in the paper: it is the workbook's own machinery.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile: expected one of {', '.join(PROFILES)}, got {profile!r}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed: expected a whole number from 0, got {seed!r}")
    if not notebook[:2].isdigit():
        raise ValueError(f"notebook: expected a name that starts with two digits, such as 05_graclus, got {notebook!r}")
    folder = Path(data_root).expanduser().resolve() if data_root else paths.data_root()
    if folder is not None and not folder.is_dir():
        raise ValueError(f"data_root: expected an existing folder, got {data_root!r}")

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - for the libraries that draw from the global generator
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(profile != "full")  # not every CUDA kernel has a deterministic form
    # torch's notice about its own torch.jit, which PyG calls at import, is nothing a reader can act on
    warnings.filterwarnings("ignore", message=".*torch.jit.*")
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # "building the font cache" on a first run
    viz.set_style()

    context = Context(notebook, profile, seed, folder, paths.run_folder("interactive") / "results")
    data = "none (the synthetic scenes are enough)" if folder is None else "found"
    print(f"{notebook}: profile {profile}, seed {seed}, device {context.device}, real data: {data}")
    return context
