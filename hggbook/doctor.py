"""What is installed, what is missing, and how to mend it: the command ``hggbook doctor``.

`gather` looks at the machine and judges nothing; `diagnose` judges and looks at nothing. So every fault can be tested
without breaking the machine.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import hggbook
from hggbook import paths

GIGABYTE = 1e9
ENOUGH_DISK = 2 * GIGABYTE
# by name on PyPI -> oldest version the library is written for; read from pyproject.toml where that is at hand
FALLBACK_NEEDS = {"torch": "2.11", "torch-geometric": "2.7", "numpy": "2.0", "jupyterlab": "4.4", "papermill": "2.6"}
DATA_SETS = {
    "COCO 2017": ("coco/annotations/person_keypoints_val2017.json", "coco/person_keypoints_dev.json"),
    "OCHuman": ("ochuman",),
    "CrowdPose": ("crowdpose",),
}


@dataclass(frozen=True)
class Facts:
    """What was found on the machine.

    Attributes:
        python: (major, minor) of this interpreter, and its path.
        needs: package -> oldest version wanted.
        versions: package -> version installed, None if missing.
        device: the accelerator's name, None without one.
        threads: threads torch computes with.
        cores: of this machine that this process may use.
        kernel: interpreter of the kernel ``python3``, None without such a kernel.
        root: the project folder, None if there is none; ``root_error`` says why.
        data_error: why HGGBOOK_DATA cannot be used, "" if it can or is not set.
        data_sets: name of a real data set -> whether it was found.
        weights: files in ``data/weights``.
        free_bytes: free space where runs are written.
        writable: whether ``runs/`` can be written.
    """

    python: tuple[int, int]
    executable: str
    needs: Mapping[str, str]
    versions: Mapping[str, str | None]
    device: str | None
    threads: int
    cores: int
    kernel: str | None
    root: Path | None
    root_error: str
    data_error: str
    data_sets: Mapping[str, bool]
    weights: tuple[str, ...]
    free_bytes: int
    writable: bool


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis.

    Attributes:
        name: what was looked at.
        status: ``ok``, ``note`` (something optional is missing) or ``fail`` (something required is).
        detail: what was found.
        mend: what to do about it; empty if there is nothing to do.
    """

    name: str
    status: str
    detail: str
    mend: str = ""


def _needs(root: Path | None) -> dict[str, str]:
    project = root / "pyproject.toml" if root else None
    if project is None or not project.is_file():
        return dict(FALLBACK_NEEDS)
    wanted = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    return dict(re.match(r"([A-Za-z0-9._-]+)\s*>=\s*([0-9.]+)", text).groups() for text in wanted)


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def gather() -> Facts:
    """Look at the machine; judges nothing and changes nothing. Not in the paper: housekeeping."""
    root, root_error, data, data_error = None, "", None, ""
    try:
        root = paths.project_root()
    except ValueError as error:
        root_error = str(error)
    try:
        data = paths.data_root()
    except ValueError as error:
        data_error = str(error)
    places = [folder for folder in (data, root / "data" if root else None) if folder is not None]
    found = {
        name: any((place / hint).exists() for place in places for hint in hints) for name, hints in DATA_SETS.items()
    }
    weights = sorted(path.name for path in (root / "data" / "weights").glob("*.safetensors")) if root else []
    needs = _needs(root)
    place = root or Path.cwd()
    return Facts(
        python=sys.version_info[:2],
        executable=sys.executable,
        needs=needs,
        versions={name: _installed(name) for name in needs},
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        threads=torch.get_num_threads(),
        cores=_cores(),
        kernel=paths.kernel_python(),
        root=root,
        root_error=root_error,
        data_error=data_error,
        data_sets=found,
        weights=tuple(weights),
        free_bytes=shutil.disk_usage(place).free,
        writable=os.access(place, os.W_OK),
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text.split("+")[0])[:3])


def diagnose(facts: Facts | None = None) -> list[Finding]:
    """Judge what was found; each problem comes with how to mend it.

    Args:
        facts: what to judge; default: this machine, by `gather`.

    Returns:
        One finding for each thing looked at. Whoever calls decides what to do about ``fail``.

    Not in the paper: housekeeping.
    """
    facts = facts or gather()
    return [
        _judge_python(facts),
        *_judge_packages(facts),
        _judge_device(facts),
        _judge_kernel(facts),
        _judge_project(facts),
        *_judge_data(facts),
        _judge_weights(facts),
        _judge_disk(facts),
    ]


def _judge_python(facts):
    text = f"{facts.python[0]}.{facts.python[1]} at {facts.executable}"
    if facts.python < (3, 11):
        return Finding("Python", "fail", f"{text}, expected 3.11 or newer", "make PYTHON=/path/to/a/newer/python book")
    return Finding("Python", "ok", text)


def _judge_packages(facts):
    install = "pip install -r requirements.lock (or: make setup)"
    findings = [Finding("hggbook", "ok", hggbook.__version__)]
    for name, oldest in facts.needs.items():
        version = facts.versions.get(name)
        if version is None:
            findings.append(Finding(name, "fail", "not installed", install))
        elif _version(version) < _version(oldest):
            findings.append(Finding(name, "fail", f"{version}, expected {oldest} or newer", install))
        else:
            findings.append(Finding(name, "ok", version))
    return findings


def _judge_device(facts):
    threads = f"{facts.threads} of {facts.cores} cores"
    if facts.device is None:
        return Finding("device", "ok", f"CPU, {threads}; enough for the profiles smoke and cpu")
    return Finding("device", "ok", f"{facts.device}; CPU: {threads}")


def _judge_kernel(facts):
    mend = f"{facts.executable} -m ipykernel install --sys-prefix --name python3"
    if facts.kernel is None:
        return Finding("kernel", "fail", "Jupyter knows no kernel 'python3'", mend)
    if not paths.same_python(facts.kernel, facts.executable):
        mend = f"jupyter kernelspec remove python3, then: {mend}"
        return Finding("kernel", "fail", f"'python3' runs {facts.kernel}, expected {facts.executable}", mend)
    return Finding("kernel", "ok", "'python3' runs this Python")


def _judge_project(facts):
    if facts.root is None:
        return Finding("project", "fail", facts.root_error, f"export {paths.HOME_VARIABLE}=/path/to/your/checkout")
    if not facts.writable:
        return Finding(
            "project", "fail", f"{facts.root} cannot be written", f"chmod u+w {facts.root}, or clone it elsewhere"
        )
    return Finding("project", "ok", str(facts.root))


def _judge_data(facts):
    if facts.data_error:
        return [Finding("real data", "fail", facts.data_error, f"unset {paths.DATA_VARIABLE}, or set it to a folder")]
    mend = f"optional: set {paths.DATA_VARIABLE} to the folder that holds coco/"
    return [
        Finding(name, "ok", "found") if there else Finding(name, "note", "not found; synthetic scenes are used", mend)
        for name, there in facts.data_sets.items()
    ]


def _judge_weights(facts):
    if facts.weights:
        return Finding("weights", "ok", ", ".join(facts.weights))
    return Finding(
        "weights", "fail", "none in data/weights; the notebooks start from them", "git checkout -- data/weights"
    )


def _judge_disk(facts):
    free = f"{facts.free_bytes / GIGABYTE:.1f} GB free"
    if facts.free_bytes < ENOUGH_DISK:
        return Finding(
            "disk", "fail", f"{free}, expected {ENOUGH_DISK / GIGABYTE:.0f}", "free some space, or remove runs/"
        )
    return Finding("disk", "ok", free)


def report(findings: Sequence[Finding]) -> str:
    """The diagnosis as text: a line for each finding, the mend under each problem, and the sum. Not in the paper."""
    sign = {"ok": "ok  ", "note": "note", "fail": "FAIL"}
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{sign[finding.status]}  {finding.name:{width}}  {finding.detail}")
        if finding.mend:
            lines.append(f"{'':{width + 8}}-> {finding.mend}")
    failed = sum(finding.status == "fail" for finding in findings)
    lines.append("everything that is required is there" if not failed else f"{failed} to mend: the lines marked FAIL")
    return "\n".join(lines)


def main() -> int:
    """Print the diagnosis of this machine; 1 if something required is missing, else 0.

    Not in the paper: housekeeping.
    """
    findings = diagnose()
    print(f"hggbook doctor on {platform.system()} {platform.machine()}")
    print(report(findings))
    return int(any(finding.status == "fail" for finding in findings))
