"""PAPER.md names nothing that is not there: code, settings, commands, notebooks, tests, claims."""

import argparse
import ast
import dataclasses
import importlib
import inspect
import re
from typing import Any

import pytest

from hggbook import paths
from hggbook.ablations.claims import read_paper
from hggbook.cli import _parser
from hggbook.config import Config

ROOT = paths.project_root()
TEXT = (ROOT / "PAPER.md").read_text(encoding="utf-8")
PLANNED = {f"{number:02d}" for number in range(8, 14)}  # may be named before they are there


def rows(text: str = TEXT) -> list[dict[str, str]]:
    """The rows of all tables, each as column -> cell."""
    found, heads, before = [], [], ""
    for line in text.splitlines():
        if re.fullmatch(r"\|[-|]+\|", line):
            heads = [cell.strip() for cell in before.strip("|").split("|")]
        elif line.startswith("|") and heads:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            assert len(cells) == len(heads), f"expected {len(heads)} cells: {line}"
            found.append(dict(zip(heads, cells)))
        elif not line.startswith("|"):
            heads = []
        before = line
    return found


def spans(column: str) -> set[str]:
    """Everything that a column has between backticks."""
    return {span for row in rows() for span in re.findall(r"`([^`]+)`", row.get(column, ""))}


def attribute(owner: Any, name: str) -> Any:
    fields = {field.name for field in dataclasses.fields(owner)} if dataclasses.is_dataclass(owner) else set()
    return None if name in fields else getattr(owner, name)


def resolve(code: str) -> None:
    """Look up a name like ``types.Graph.x`` or ``grouping.graclus.graclus(order="mutual")`` below ``hggbook``.

    Raises:
        LookupError: there is no such name, or the function has no such argument.
    """
    node, keywords = ast.parse(code, mode="eval").body, []
    if isinstance(node, ast.Call):
        keywords, node = [keyword.arg for keyword in node.keywords], node.func
    parts = ast.unparse(node).split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(["hggbook", *parts[:length]]))
        except ModuleNotFoundError:
            continue
        try:
            for name in parts[length:]:
                found = attribute(found, name)
        except AttributeError:
            continue
        if unknown := set(keywords) - set(inspect.signature(found).parameters if keywords else ()):
            raise LookupError(f"{code}: has no argument {sorted(unknown)}")
        return
    raise LookupError(f"{code}: no such name in hggbook")


def setting(code: str) -> bool:
    """Whether it is a key of the config, with or without a value that fits it."""
    key, equals, _ = code.partition("=")
    section, _, name = key.partition(".")
    if name not in Config().to_dict().get(section, ()):
        return False
    if equals:
        Config().override(code)
    return True


def command(code: str) -> None:
    """Look up a command, its study and its options.

    Raises:
        LookupError: there is no such command, study or option.
    """
    (action,) = (a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    _, name, *rest = code.split()
    if name not in action.choices:
        raise LookupError(f"{code}: no such command")
    options = set(action.choices[name]._option_string_actions)
    if unknown := {word for word in rest if word.startswith("--")} - options:
        raise LookupError(f"{code}: no option {sorted(unknown)}")
    studies = next((a.choices for a in action.choices[name]._actions if a.dest == "study"), None)
    if studies is not None and rest and rest[0] not in studies:
        raise LookupError(f"{code}: no study {rest[0]}")


def missing(code: str) -> str | None:
    try:
        if code.startswith("hggbook "):
            command(code)
        elif not setting(code):
            resolve(code)
    except (LookupError, SyntaxError, ValueError) as error:
        return str(error)
    return None


def test_everything_in_the_code_columns_exists():
    named = spans("code") | spans("here")
    assert len(named) > 60
    assert [problem for code in sorted(named) if (problem := missing(code))] == []


@pytest.mark.parametrize(
    "code",
    [
        "types.Graphs", "types.Graph.nodes", "nowhere.HGG", "grouping.graclus.graclus(sort=1)", "grouping.nowhere",
        "grouping.layers=many", "hggbook fly", "hggbook ablate table9", "hggbook evaluate --slowly", "a b",
    ],
)  # fmt: skip
def test_what_does_not_exist_is_found(code):
    assert missing(code)


def test_tests_that_are_named_exist():
    named = spans("test")
    assert len(named) > 20
    for name in sorted(named):
        place, *inside = name.split("::")
        path = ROOT / "tests" / f"{place}.py"
        assert path.is_file(), name
        source = path.read_text(encoding="utf-8")
        assert all(re.search(rf"(def|class) {one}\b", source) for one in inside), name


def test_notebooks_that_are_named_exist():
    there = {path.name[:2] for path in (ROOT / "notebooks").glob("*.ipynb")}
    named = [row["notebook"] for row in rows() if "notebook" in row]
    assert named
    assert all(re.fullmatch(r"(\d\d(, \d\d)*)?", cell) for cell in named)
    assert set(re.findall(r"\d\d", " ".join(named))) <= there | PLANNED


def test_every_claim_is_there_as_it_will_be_judged():
    report = (ROOT / "results" / "REPORT.md").read_text(encoding="utf-8")
    told = {row["claim"]: row for row in rows() if "claim" in row}
    for claim in read_paper()["claims"]:
        name = claim["id"]
        row = told.pop(f"[{name}](results/REPORT.md#{name.lower()})")
        assert row["the paper says"] == claim["text"]
        assert row["notebook"] == ", ".join(claim["notebooks"])
        assert f"\n### {name}\n" in report
    assert told == {}


def test_a_table_of_another_width_is_an_error():
    assert rows("| a | b |\n|---|---|\n| 1 | 2 |\n\n| not | a table |\n") == [{"a": "1", "b": "2"}]
    with pytest.raises(AssertionError, match="expected 2 cells"):
        rows("| a | b |\n|---|---|\n| 1 | 2 | 3 |\n")
