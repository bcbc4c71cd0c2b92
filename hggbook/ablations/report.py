"""The reproduction report: claim, the paper's value, ours with its interval, verdict; from recorded runs only."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from hggbook.ablations.claims import READINGS, UNTESTABLE, VERDICTS, Judge, Judgement
from hggbook.ablations.differences import MEASURES, value_of
from hggbook.ablations.tables import spread

BESIDE = (("table2", "table2", "pose"), ("table2", "table2", "image"), ("fig4a", "graphs", "pose"))
"""Tables of the paper, and the study and track that stand beside each."""


def report_tables(judge: Judge) -> dict[str, str]:
    """All tables of the report, by the name of their place in its text. Not in the paper: bookkeeping."""
    tables = {"verdicts": verdict_table(judge), "counts": counts_table(judge)}
    tables |= {f"{table} {track}": beside_the_paper(judge, table, study, track) for table, study, track in BESIDE}
    return tables | {f"evidence {one.claim['id']}": evidence(one) for one in judge.judgements}


def verdict_table(judge: Judge) -> str:
    """Every claim in a line, as Markdown. Paper: sec. 4."""
    heads = ("claim", "what the paper says", "where", "its value", "our default", "the paper's narrow words")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for one in judge.judgements:
        claim, name = one.claim, one.claim["id"]
        cells = [f"[{name}](#{name.lower()})", claim["text"], claim["place"], claim["paper"]]
        cells += [f"**{one.verdicts[reading]}**" if reading in one.verdicts else "" for reading in READINGS]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def evidence(one: Judgement) -> str:
    """What one claim's verdict rests on, as Markdown. Paper: sec. 4."""
    if not one.findings:
        return f"Verdict: **{UNTESTABLE}**: {one.claim['why_not']}."
    lines = ["| reading | number | ours | outcome | from |", "|---|---|---|---|---|"]
    for reading in READINGS:
        for found in one.findings.get(reading, ()):
            lines.append(f"| {reading} | {found.what} | {found.value} | {found.outcome} | `{found.source}` |")
    verdicts = ", ".join(f"{reading}: **{text}**" for reading, text in one.verdicts.items())
    return "\n".join([*lines, "", f"Verdict, {verdicts}."])


def counts_table(judge: Judge) -> str:
    """How many claims have which verdict, as Markdown. Not in the paper: a summary."""
    lines = ["| reading | " + " | ".join(VERDICTS) + " |", "|" + "---|" * (1 + len(VERDICTS))]
    for reading, number in counts(judge).items():
        lines.append(f"| {reading} | " + " | ".join(str(number[verdict]) for verdict in VERDICTS) + " |")
    return "\n".join(lines)


def counts(judge: Judge) -> dict[str, dict[str, int]]:
    """How many claims have which verdict, by reading. Not in the paper: a summary."""
    found = {}
    for reading in READINGS:
        number = Counter(one.verdicts[reading] for one in judge.judgements if reading in one.verdicts)
        found[reading] = {verdict: number[verdict] for verdict in VERDICTS}
    return found


def beside_the_paper(judge: Judge, table: str, study: str, track: str) -> str:
    """A table of the paper with our numbers beside it, as Markdown: means over the seeds, × 100.

    Args:
        table: key in ``data/paper_results.yaml``.
        study, track: whose rows stand beside.

    Paper: Table 2, Fig. 4a.
    """
    told = judge.paper["tables"][table]
    runs = judge.recorded.rows(study, track)
    ours = [name.lower() for name in told["columns"]] if MEASURES[track] == "ap" else ["f1", "perfect"]
    heads = ["row", *(f"paper {name}" for name in told["columns"])]
    heads += [f"{'F1' if name == 'f1' else name.upper() if name != 'perfect' else 'perfect'} ({reading})"
              for reading in READINGS for name in ours]  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name in dict.fromkeys((*told["rows"], *(_plain(row) for row in runs))):
        cells = [name, *(f"{value:g}" for value in told["rows"].get(name, ()))]
        cells += [""] * (1 + len(told["columns"]) - len(cells))
        for reading in READINGS:
            each = runs.get(name if reading == "default" else f"{name} ({reading})", {})
            for measure in ours:
                values = [100 * value_of(run, measure) for run in each.values()]
                cells.append(_percent(values) if values else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


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
    return sorted({(test[key], test["track"]) for test in tests for key in ("ahead", "and") if key in test})


def _plain(row: str) -> str:
    return row.removesuffix(" (literal)")


def _percent(values: list[float]) -> str:
    mean, _, deviation = spread(values).partition(" ± ")
    return f"{float(mean):.1f}" + (f" ± {float(deviation):.1f}" if deviation else "")
