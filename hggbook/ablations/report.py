"""The reproduction report: claim, the paper's value, ours with its interval, verdict; from recorded runs only."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hggbook.ablations.claims import READINGS, UNTESTABLE, VERDICTS, Judge, Judgement, Recorded, studies_of
from hggbook.ablations.differences import MEASURES, difference, value_of
from hggbook.ablations.rows import IMAGE
from hggbook.ablations.tables import signed, spread

BESIDE = (("table2", "table2", "pose"), ("table2", "table2", "image"), ("fig4a", "graphs", "pose"))
"""Tables of the paper, and the study and track that stand beside each."""


def report_tables(judge: Judge) -> dict[str, str]:
    """All tables of the report, by the name of their place in its text. Not in the paper: bookkeeping."""
    tables = {"verdicts": verdict_table(judge), "counts": counts_table(judge)}
    tables |= {
        f"{table} {track}": markdown(*beside_the_paper(judge, table, study, track)) for table, study, track in BESIDE
    }
    tables["detectors image"] = detectors_table(judge.recorded)
    return tables | {f"evidence {one.claim['id']}": evidence(one) for one in judge.judgements}


def verdict_table(judge: Judge) -> str:
    """Every claim in a line, as Markdown. Paper: sec. 4."""
    heads = ("claim", "what the paper says", "where", "its value", "our default", "the paper's narrow words")
    rows = []
    for one in judge.judgements:
        claim, name = one.claim, one.claim["id"]
        cells = [f"[{name}](#{name.lower()})", claim["text"], claim["place"], claim["paper"]]
        rows.append(cells + [f"**{one.verdicts[reading]}**" if reading in one.verdicts else "" for reading in READINGS])
    return markdown(heads, rows)


def evidence(one: Judgement) -> str:
    """What one claim's verdict rests on, as Markdown. Paper: sec. 4."""
    if not one.findings:
        return f"Verdict: **{UNTESTABLE}**: {one.claim['why_not']}."
    rows = [
        [reading, found.what, found.value, found.outcome, f"`{found.source}`"]
        for reading in READINGS
        for found in one.findings.get(reading, ())
    ]
    table = markdown(("reading", "number", "ours", "outcome", "from"), rows)
    verdicts = ", ".join(f"{reading}: **{text}**" for reading, text in one.verdicts.items())
    return f"{table}\n\nVerdict, {verdicts}."


def counts_table(judge: Judge) -> str:
    """How many claims have which verdict, as Markdown. Not in the paper: a summary."""
    rows = [[reading, *(str(number[verdict]) for verdict in VERDICTS)] for reading, number in counts(judge).items()]
    return markdown(("reading", *VERDICTS), rows)


def detectors_table(recorded: Recorded) -> str:
    """What training did to the detector: AP of its candidates, whatever the row, grouped by AE and by the annotations.

    Paper: Table 2, #6 against #1.
    """
    runs, rows = recorded.rows("table2", IMAGE), []
    for name, each in runs.items():
        if not next(iter(each.values()))["steps"]:  # another row's weights
            continue
        ahead = difference(each, runs["#1 AE"], "ap", ("ae", "ae"))
        scored = [[100 * value_of(run, "ap", grouper) for run in each.values()] for grouper in ("ae", "oracle")]
        rows.append([name, *map(_percent, scored), "" if name == "#1 AE" else signed(ahead)])
    return markdown(("trained as row", "AP, grouped by AE", "AP, oracle", "AE's AP ahead of #1"), rows)


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown. Not in the paper: bookkeeping."""
    lines = [" | ".join(heads), "|".join(["---"] * len(heads)), *(" | ".join(row) for row in rows)]
    return "\n".join(f"|{line}|" if n == 1 else f"| {line} |" for n, line in enumerate(lines))


def counts(judge: Judge) -> dict[str, dict[str, int]]:
    """How many claims have which verdict, by reading. Not in the paper: a summary."""
    found = {}
    for reading in READINGS:
        number = Counter(one.verdicts[reading] for one in judge.judgements if reading in one.verdicts)
        found[reading] = {verdict: number[verdict] for verdict in VERDICTS}
    return found


def beside_the_paper(judge: Judge, table: str, study: str, track: str) -> tuple[list[str], list[list[str]]]:
    """A table of the paper with our numbers beside it, in both readings: means over the seeds with ±, all × 100.

    Args:
        table: key in ``data/paper_results.yaml``.
        study, track: whose rows stand beside.

    Returns:
        The head, and the rows: those of the paper, then those that only we have. What was not run is empty.

    Paper: Table 2, Fig. 4a.
    """
    told, runs = judge.paper["tables"][table], judge.recorded.rows(study, track)
    ours = [name.lower() for name in told["columns"]] if MEASURES[track] == "ap" else ["f1", "perfect"]
    heads = ["row", *(f"paper {name}" for name in told["columns"])]
    said = [name if name == "perfect" else name.upper() for name in ours]
    heads += [f"{name} ({reading})" for reading in READINGS for name in said]
    rows = []
    for name in dict.fromkeys((*told["rows"], *(_plain(row) for row in runs))):
        stated = told["rows"].get(name, [""] * len(told["columns"]))
        cells = [name, *(f"{value:g}" if value != "" else "" for value in stated)]
        for reading in READINGS:
            each = runs.get(name if reading == "default" else f"{name} ({reading})", {})
            cells += [_percent([100 * value_of(run, measure) for run in each.values()]) for measure in ours]
        rows.append(cells)
    return heads, rows


def changes(judge: Judge, reference: Judge, tolerance: float) -> list[str]:
    """Where a re-run differs from the recorded reference by more than the tolerance, or in a verdict.

    Args:
        judge: of the re-run.
        reference: of the committed results.
        tolerance: on F1 and AP, in shares of one.

    Returns:
        A line for each difference; none if the re-run agrees.

    Not in the paper: holds two runs against each other.
    """
    found = []
    for one, other in zip(judge.judgements, reference.judgements, strict=True):
        for reading in sorted(one.verdicts.keys() | other.verdicts.keys()):
            here, there = one.verdicts.get(reading, "none"), other.verdicts.get(reading, "none")
            if here != there:
                found.append(f"{one.claim['id']} ({reading}): {here}, the reference has {there}")
    for study, track in _studies(judge.paper):
        ours, theirs = judge.recorded.rows(study, track), reference.recorded.rows(study, track)
        for row in sorted(ours.keys() & theirs.keys()):
            means = [sum(value_of(run, MEASURES[track]) for run in runs[row].values()) / len(runs[row])
                     for runs in (ours, theirs)]  # fmt: skip
            if abs(means[0] - means[1]) > tolerance:
                found.append(f"{study}, track {track}, {row}: {means[0]:.4f}, the reference has {means[1]:.4f}")
    return found


def _studies(paper: Mapping[str, Any]) -> list[tuple[str, str]]:
    tests = [test for claim in paper["claims"] for test in claim.get("tests", ()) if "ahead" in test]
    return sorted({(study, test["track"]) for test in tests for study in studies_of(test)})


def _plain(row: str) -> str:
    return row.removesuffix(" (literal)")


def _percent(values: list[float]) -> str:
    if not values:
        return ""
    mean, _, deviation = spread(values).partition(" ± ")
    return f"{float(mean):.1f}" + (f" ± {float(deviation):.1f}" if deviation else "")
