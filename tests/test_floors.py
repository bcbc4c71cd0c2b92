"""The floors of the library as law: a module imports from lower floors, or from its own package without a cycle."""

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

import hggbook

PACKAGE = Path(hggbook.__file__).parent

# By the longest name that fits; a new top-level module must be given its floor here.
FLOORS = {
    "hggbook": 4.5,  # the front door: `load`, looked up when asked for
    "hggbook.skeleton": 0,
    "hggbook.types": 0,
    "hggbook.config": 0,
    "hggbook.paths": 0,
    "hggbook.grouping.graclus": 0,  # a graph algorithm that knows none of our records; labelling uses it too
    "hggbook.labels": 1,
    "hggbook.detector": 1,
    "hggbook.grouping.graph": 1,
    "hggbook.grouping.message_passing": 1,
    "hggbook.grouping.discriminators": 1,
    "hggbook.grouping.features": 1,
    "hggbook.data.scenes": 1,
    "hggbook.grouping": 2,
    "hggbook.data": 2,
    "hggbook.losses": 2,
    "hggbook.decode": 2,
    "hggbook.metrics": 2,
    "hggbook.model": 3,
    "hggbook.tta": 3.5,  # a model made of a model
    "hggbook.oracle": 3,
    "hggbook.weights": 3.5,  # models in files, and what lies beside them
    "hggbook.objective": 3.5,  # what training minimises, between the model and the loop
    "hggbook.train": 4,
    "hggbook.evaluate": 4,
    "hggbook.freeze": 4,
    "hggbook.compare": 4.5,  # evaluation of several groupers, below the ablations
    "hggbook.predict": 4.5,  # writes what evaluation reads
    "hggbook.provenance": 4.6,
    "hggbook.ablations": 5,
    "hggbook.benchmark": 5,
    "hggbook.viz": 5,
    "hggbook.overlay": 5.5,
    "hggbook.widgets": 5,
    "hggbook.workbook": 6,
    "hggbook.doctor": 6,
    "hggbook.cli": 7,
    "hggbook.__main__": 8,
}

# Never wanted: they pin torch's version, need a compiler, or are not on PyPI for every platform.
FORBIDDEN = {"torchvision", "torch_cluster", "torch_scatter", "torch_sparse", "pyg_lib", "mmcv", "mmpose"}


def module_name(path: Path, package: Path = PACKAGE) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(name: str) -> float:
    """Floor of the longest listed name that contains ``name``; a module right under hggbook must be listed itself."""
    parts = name.split(".")
    for length in range(len(parts), 1, -1):
        if (known := ".".join(parts[:length])) in FLOORS:
            return FLOORS[known]
    if name == "hggbook":
        return FLOORS[name]
    raise AssertionError(f"{name} has no floor: list it in FLOORS of {Path(__file__).name}")


def imports_of(source: str, name: str, is_package: bool, modules: set[str]) -> Iterator[str]:
    """Every import in a source, those inside functions included, as the module that it loads."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".") if is_package else name.split(".")[:-1]
                anchor = parts[: len(parts) - (node.level - 1)]
                base = ".".join([*anchor, base]) if base else ".".join(anchor)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in modules else base


def breaches(sources: dict[str, tuple[str, bool]]) -> list[str]:
    """Everything in which a set of modules, name -> (source, is a package), breaks the law of floors."""
    modules = set(sources)
    found, graph = [], nx.DiGraph()
    for name, (source, is_package) in sources.items():
        for target in imports_of(source, name, is_package, modules):
            if target.split(".")[0] != "hggbook" or target == name:
                continue
            graph.add_edge(name, target)
            own_package = name.split(".")[1:2] == target.split(".")[1:2]
            if not own_package and floor_of(target) >= floor_of(name):
                found.append(f"{name} (floor {floor_of(name)}) imports {target} (floor {floor_of(target)})")
    cycles = [sorted(part) for part in nx.strongly_connected_components(graph) if len(part) > 1]
    return found + [f"cycle: {', '.join(part)}" for part in cycles]


def library() -> dict[str, tuple[str, bool]]:
    files = sorted(PACKAGE.rglob("*.py"))
    return {module_name(path): (path.read_text(encoding="utf-8"), path.name == "__init__.py") for path in files}


def test_modules_import_only_from_lower_floors():
    assert breaches(library()) == []


def test_every_module_has_a_floor():
    assert {name: floor_of(name) for name in library()}


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("hggbook.losses", "from hggbook.types import Maps", []),
        ("hggbook.losses", "import hggbook.model", ["hggbook.losses (floor 2) imports hggbook.model (floor 3)"]),
        ("hggbook.losses", "from hggbook import decode", ["hggbook.losses (floor 2) imports hggbook.decode (floor 2)"]),
        ("hggbook.losses", "if 1:\n import hggbook.tta", ["hggbook.losses (floor 2) imports hggbook.tta (floor 3.5)"]),
        ("hggbook.losses", "from . import tta", ["hggbook.losses (floor 2) imports hggbook.tta (floor 3.5)"]),
        ("hggbook.detector.heatmaps", "from .hourglass import Hourglass", []),
        ("hggbook.detector.heatmaps", "import torch, numpy", []),
    ],
)
def test_a_breach_is_found_in_whatever_form_it_is_written(name, source, expected):
    others = ("types", "model", "decode", "tta", "detector.hourglass")
    sources = {"hggbook": ("", True), **{f"hggbook.{other}": ("", False) for other in others}, name: (source, False)}
    assert breaches(sources) == expected


def test_a_cycle_within_a_package_is_found():
    sources = {
        "hggbook.data.coco": ("from hggbook.data import transforms", False),
        "hggbook.data.transforms": ("from hggbook.data.coco import CocoPeople", False),
    }
    assert breaches(sources) == ["cycle: hggbook.data.coco, hggbook.data.transforms"]


def test_an_unlisted_module_is_found():
    with pytest.raises(AssertionError, match=r"hggbook\.novelty has no floor"):
        floor_of("hggbook.novelty")


def test_forbidden_packages_are_imported_nowhere():
    root = PACKAGE.parent
    for path in [*sorted(PACKAGE.rglob("*.py")), *sorted((root / "tests").rglob("*.py"))]:
        loaded = imports_of(path.read_text(encoding="utf-8"), path.stem, False, set())
        assert not FORBIDDEN & {name.split(".")[0] for name in loaded}, path
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        assert not [name for name in FORBIDDEN if f"import {name}" in text or f"from {name}" in text], path
