"""Where things lie: the project folder, data sets, runs, and the Python that runs the notebooks.

Every path comes from the place of the package or from an environment variable, never from the working directory: the
same notebook executed by papermill, by a test and by a reader starts in three different folders.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HOME_VARIABLE = "HGGBOOK_HOME"
DATA_VARIABLE = "HGGBOOK_DATA"
RUN_VARIABLE = "HGGBOOK_RUN"
KERNEL = "python3"


def _folder_from(variable: str) -> Path | None:
    value = os.environ.get(variable, "").strip()
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise ValueError(f"environment variable {variable}: expected an existing folder, got {value!r}")
    return folder.resolve()


def project_root() -> Path:
    """The folder that holds ``notebooks/`` and ``data/``: ``HGGBOOK_HOME``, else the folder above the package.

    Raises:
        ValueError: HGGBOOK_HOME names no folder, or there is no ``notebooks/`` in the folder found (the package was
            installed without its checkout).

    Not in the paper: housekeeping.
    """
    root = _folder_from(HOME_VARIABLE) or Path(__file__).resolve().parents[1]
    if not (root / "notebooks").is_dir():
        raise ValueError(
            f"project folder: expected {root} to contain notebooks/; set {HOME_VARIABLE} to your checkout of hggbook"
        )
    return root


def notebooks_folder() -> Path:
    """``notebooks/``: the sources, without outputs. Not in the paper: housekeeping."""
    return project_root() / "notebooks"


def committed_data() -> Path:
    """``data/``: the small data that comes with the project. Not in the paper: housekeeping."""
    return project_root() / "data"


def weights_folder() -> Path:
    """``data/weights/``: the small trained weights. Not in the paper: housekeeping."""
    return committed_data() / "weights"


def data_root() -> Path | None:
    """Folder of the real data sets, from ``HGGBOOK_DATA``; None if the variable is not set.

    Raises:
        ValueError: the variable is set but names no folder.

    Not in the paper: housekeeping.
    """
    return _folder_from(DATA_VARIABLE)


def runs_folder() -> Path:
    """``runs/``: everything that commands write; git ignores it. Not in the paper: housekeeping."""
    return project_root() / "runs"


def run_folder(default: str) -> Path:
    """Folder of the run that this process belongs to: ``HGGBOOK_RUN``, else ``runs/<default>``; need not exist yet.

    Not in the paper: housekeeping.
    """
    value = os.environ.get(RUN_VARIABLE, "").strip()
    return Path(value).expanduser().resolve() if value else runs_folder() / default


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Lets a file be written whole or not at all: gives a name beside it, renamed to ``path`` if nothing was raised.

    Not in the paper: housekeeping.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def slug(name: str) -> str:
    """A name as that of a folder: letters and digits, joined by dashes."""
    return "-".join("".join(c if c.isalnum() else " " for c in name).split())


def empty_folder(path: Path) -> None:
    """Nothing to be overwritten.

    Raises:
        ValueError: ``path`` exists already and is not an empty folder.

    Not in the paper: housekeeping.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"{path}: expected a folder that is empty or does not exist yet")


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Lets a folder be filled whole or not at all: gives one beside it, renamed to ``path`` if nothing was raised.

    Raises:
        ValueError: ``path`` exists already and is not an empty folder.

    Not in the paper: housekeeping.
    """
    empty_folder(path)
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", suffix=".partial", dir=path.parent))
    try:
        temporary.chmod(0o755)
        yield temporary
        if path.exists():
            path.rmdir()
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def find_data(name: str) -> Path:
    """A data file or folder: as named, else under ``HGGBOOK_DATA``, else in ``data/``, else under the project folder.

    Raises:
        ValueError: it is in none of these places, which are listed.

    Not in the paper: housekeeping.
    """
    places = [Path(name).expanduser()]
    if not places[0].is_absolute():
        places += [folder / name for folder in (data_root(), committed_data(), project_root()) if folder is not None]
    for place in places:
        if place.exists():
            return place
    raise ValueError(f"{name}: not found; looked for {', '.join(map(str, places))}")


def kernel_python() -> str | None:
    """The interpreter that Jupyter would start for the kernel ``python3``; None if there is no such kernel.

    It must be the one that has hggbook. It is another one where a kernel of the same name was once registered in the
    user's home, which Jupyter may find first.

    Not in the paper: housekeeping.
    """
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        command = KernelSpecManager().get_kernel_spec(KERNEL).argv[0]
    except NoSuchKernel:
        return None
    # a kernel that only says "python" runs in the interpreter that starts it (jupyter_client's own rule)
    version = sys.version_info
    own = {"python", f"python{version.major}", f"python{version.major}.{version.minor}"}
    return sys.executable if command in own else command


def same_python(one: str, other: str) -> bool:
    """Whether two interpreters share one environment.

    Two environments may link to one and the same program, so the folders are compared, not the files.

    Not in the paper: housekeeping.
    """
    return Path(one).parent.resolve() == Path(other).parent.resolve()
