"""The paper's claims, and what the recorded runs say to each. Paper: sec. 4.

``data/paper_results.yaml`` holds the paper's numbers, the claims, and the rule by which each is judged; ``results/``
holds what was measured. Nothing here measures.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from hggbook import paths
from hggbook.ablations.differences import MEASURES, difference
from hggbook.ablations.tables import Result, expand, runs_by_row, signed
from hggbook.compare.intervals import Interval

READINGS = ("default", "literal")
KINDS = ("ahead", "within", "test")
HOLDS, AGAINST, OPEN, MISSING = "holds", "against", "open", "not measured"
REPRODUCED, DIRECTION, CONTRADICTED = "reproduced", "direction only", "contradicted"
UNSETTLED, UNTESTABLE = "unsettled", "not testable here"
VERDICTS = (REPRODUCED, DIRECTION, CONTRADICTED, UNSETTLED, UNTESTABLE, MISSING)


@dataclass(frozen=True)
class Finding:
    """What one test of a claim found.

    Attributes:
        outcome: ``holds``, ``against``, ``open`` or ``not measured``.
        what: which number, in words.
        value: it, as text.
        source: file of ``results/`` that it is from, or the test of the suite.
    """

    outcome: str
    what: str
    value: str
    source: str


@dataclass(frozen=True)
class Judgement:
    """A claim with what was found, and the verdict by reading of the paper.

    Attributes:
        claim: as it stands in ``data/paper_results.yaml``.
        findings: by reading.
        verdicts: by reading; a reading without a test of the claim has none.
    """

    claim: Mapping[str, Any]
    findings: dict[str, list[Finding]]
    verdicts: dict[str, str]


def read_paper(path: Path | None = None) -> dict[str, Any]:
    """The paper's tables and claims.

    Args:
        path: default ``data/paper_results.yaml``.

    Raises:
        ValueError: a claim without id, text, place or a reason for having no test; two of one id; an unknown test.

    Paper: sec. 4.
    """
    path = paths.committed_data() / "paper_results.yaml" if path is None else path
    paper = yaml.safe_load(path.read_text(encoding="utf-8"))
    seen = set()
    for claim in paper["claims"]:
        name = claim.get("id", "?")
        if missing := {"id", "text", "place", "paper", "notebooks"} - claim.keys():
            raise ValueError(f"{path.name}, claim {name}: expected {sorted(missing)} too")
        if name in seen:
            raise ValueError(f"{path.name}: two claims with the id {name}")
        seen.add(name)
        if not claim.get("tests") and not claim.get("why_not"):
            raise ValueError(f"{path.name}, claim {name}: expected tests, or why_not there are none")
        for test in claim.get("tests", ()):
            if len(test.keys() & {*KINDS}) != 1 or test.get("reading", "default") not in READINGS:
                raise ValueError(f"{path.name}, claim {name}: expected a test, one of {KINDS}, got {test}")
    return paper


class Recorded:
    """The recorded runs of a folder, read when asked for.

    Args:
        folder: default: the project's ``results``.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = paths.project_root() / "results" if folder is None else folder
        self._files: dict[str, dict[str, Any] | None] = {}

    def file(self, name: str) -> dict[str, Any] | None:
        """A file's content, None if there is no such file."""
        if name not in self._files:
            path = self.folder / name
            self._files[name] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        return self._files[name]

    def rows(self, study: str, track: str) -> dict[str, dict[int, Result]]:
        """Runs of a study by row and seed; empty if it was not recorded."""
        told = self.file(f"{study}-{track}.json")
        return runs_by_row(expand(told["rows"])) if told else {}

    def pair(self, test: Mapping[str, Any]) -> tuple[dict[int, Result], dict[int, Result]] | None:
        """The runs of the two rows that a test of kind ``ahead`` compares; None if one was not recorded."""
        found: dict[str, dict[int, Result]] = {}
        for study in studies_of(test):
            found |= self.rows(study, test["track"])
        better, worse = found.get(test["better"]), found.get(test["worse"])
        return (better, worse) if better and worse else None

    def number(self, place: str) -> float | None:
        """The number at ``FILE#/part/path``; None if the file, or that part of the study, was not recorded.

        Raises:
            ValueError: the part has no such number.
        """
        name, _, pointer = place.partition("#")
        here: Any = self.file(name)
        part, *path = pointer.strip("/").split("/")
        if here is None or part not in here:
            return None
        here = here[part]
        for step in path:
            if not isinstance(here, Mapping) or step not in here:
                raise ValueError(f"{place}: {name} has no {step!r} there")
            here = here[step]
        if isinstance(here, bool) or not isinstance(here, int | float):
            raise ValueError(f"{place}: expected a number, got {here!r}")
        return float(here)


@dataclass(frozen=True)
class Judge:
    """Holds the claims against the recorded runs.

    Attributes:
        paper: `read_paper`.
        recorded: the runs.
    """

    paper: Mapping[str, Any]
    recorded: Recorded

    @cached_property
    def judgements(self) -> list[Judgement]:
        """Every claim, in the paper file's order."""
        return [self._judge(claim) for claim in self.paper["claims"]]

    def _judge(self, claim: Mapping[str, Any]) -> Judgement:
        findings: dict[str, list[Finding]] = {}
        for test in claim.get("tests", ()):
            findings.setdefault(test.get("reading", "default"), []).append(self._find(test))
        if not findings:
            return Judgement(claim, {}, {"default": UNTESTABLE})
        about_method = claim.get("about") == "method"
        return Judgement(claim, findings, {name: verdict(found, about_method) for name, found in findings.items()})

    def _find(self, test: Mapping[str, Any]) -> Finding:
        if "test" in test:
            return Finding(HOLDS, "asserted by the test suite", "", test["test"])
        if "within" in test:
            return self._within(test)
        return self._ahead(test)

    def _within(self, test: Mapping[str, Any]) -> Finding:
        value = self.recorded.number(test["within"])
        low, high = test.get("low"), test.get("high")
        wanted = " and ".join(f"{word} {bound:g}" for word, bound in (("at least", low), ("at most", high))
                              if bound is not None)  # fmt: skip
        what = f"{test['says']} ({wanted})"
        if value is None:
            return Finding(MISSING, what, "", test["within"])
        inside = (low is None or value >= low) and (high is None or value <= high)
        return Finding(HOLDS if inside else AGAINST, what, f"{value:.3g}", test["within"])

    def _ahead(self, test: Mapping[str, Any]) -> Finding:
        track, measure = test["track"], MEASURES[test["track"]]
        source = ", ".join(f"{study}-{track}.json" for study in studies_of(test))
        what = f"{test['better']} over {test['worse']}, {measure.upper()}, track {track}"
        pair = self.recorded.pair(test)
        if pair is None:
            return Finding(MISSING, what, "", source)
        found = difference(*pair, measure)
        return Finding(outcome_of(found, self.paper["rules"]["nothing"][measure]), what, signed(found), source)


def studies_of(test: Mapping[str, Any]) -> list[str]:
    """The studies that a test of kind ``ahead`` looks into, each once. Not in the paper: bookkeeping."""
    return list(dict.fromkeys(test[key] for key in ("ahead", "and") if key in test))


def outcome_of(found: Interval, nothing: float) -> str:
    """Whether a difference is as claimed; an effect within ``nothing`` of zero is none. See the rules of the file."""
    if found.low > 0:
        return HOLDS
    if found.high < 0 or (found.low > -nothing and found.high < nothing):
        return AGAINST
    return OPEN


def verdict(findings: list[Finding], about_method: bool) -> str:
    """The verdict from the findings of one reading, by the rules of ``data/paper_results.yaml``."""
    outcomes = {finding.outcome for finding in findings}
    if outcomes == {MISSING}:
        return MISSING
    if outcomes == {HOLDS}:
        return REPRODUCED if about_method else DIRECTION
    return CONTRADICTED if AGAINST in outcomes and HOLDS not in outcomes else UNSETTLED
