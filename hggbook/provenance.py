"""What a number must be read with: versions, commit, device, time."""

import datetime
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

import hggbook
from hggbook import paths

PACKAGES = ("torch", "torch-geometric", "numpy", "scipy", "networkx", "pycocotools", "matplotlib")


def _commit(root: Path) -> str:
    def git(*arguments):
        # a commit is worth noting, never worth failing for: no git, no checkout, and the word "unknown" is recorded
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    head = git("rev-parse", "HEAD")
    if not head:
        return "unknown"
    return head + (" (with uncommitted changes)" if git("status", "--porcelain", "--untracked-files=no") else "")


def versions() -> dict[str, str]:
    """Version of Python, hggbook and the packages that results depend on. Not in the paper: housekeeping."""
    found = {"python": platform.python_version(), "hggbook": hggbook.__version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    found["torch"] = str(torch.__version__)  # says which build it is, which the package's own version may not
    return found


def provenance() -> dict[str, Any]:
    """What a result must be read with: versions, commit, device, time (UTC). Not in the paper: housekeeping."""
    cuda = torch.cuda.is_available()
    return {
        "versions": versions(),
        "commit": _commit(paths.project_root()),
        "device": torch.cuda.get_device_name() if cuda else f"cpu ({platform.machine()})",
        "threads": torch.get_num_threads(),
        "platform": platform.system(),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
