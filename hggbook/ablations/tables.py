"""Results of a study as tables: mean and standard deviation over the seeds, beside the default's. For reports."""

import itertools
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hggbook.ablations.differences import MEASURES, difference, value_of
from hggbook.ablations.rows import DEFAULT, FROZEN, FULL, IMAGE, POSE, ROWS, STUDIES
from hggbook.compare.intervals import Interval

Result = dict[str, Any]
_SHOWN = ("hgg", "contraction/hgg", "multicut/hgg", "contraction/distance", "ae")


def read_results(folder: Path, track: str) -> list[Result]:
    """All runs of a track below a study's folder.

    Raises:
        ValueError: a file that is no result of a study.

    Not in the paper: bookkeeping.
    """
    results = []
    for path in sorted((folder / track).glob("*/seed*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            results.append(result)
            result["row"], result["seed"], result["config"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: expected a result of a study, got {type(error).__name__}: {error}") from None
    return results


def compact(results: Sequence[Result]) -> dict[str, Any]:
    """Results as they are committed: the config once per row instead of once per run.

    Not in the paper: bookkeeping.
    """
    rows: dict[str, Any] = {}
    for result in sorted(results, key=_order):
        row = rows.setdefault(result["row"], {"group": result["group"], "config": result["config"], "runs": []})
        row["runs"].append({key: value for key, value in result.items() if key not in ("config", "row", "group")})
    return rows


def expand(rows: dict[str, Any]) -> list[Result]:
    """Inverse of `compact`, but for the seed inside of the config."""
    return [
        {"row": name, "group": row["group"], "config": row["config"], **run}
        for name, row in rows.items()
        for run in row["runs"]
    ]


def grouping_table(results: Sequence[Result]) -> str:
    """The rows of a study as Markdown, in the order of `ROWS`.

    ``tune`` is what rows are compared and chosen by; differences to the default are means over the seeds of both.

    Not in the paper: the study is ours.
    """
    frozen = any(result["track"] == FROZEN for result in results)
    by_row = runs_by_row(results)
    default = by_row.get(DEFAULT, {})
    heads = ["varies", "row", "seeds", "F1 tune", "against default", "with cut 0", "F1 test", "perfect test", "cut"]
    heads += ["AP tune", "AP test", "against default (AP test)"] if frozen else []
    heads += ["parameters", "CPU s"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in ROWS:
        runs = by_row.get(row.name)
        if not runs:
            continue
        cells = [row.group, row.name, str(len(runs)), spread([tune_f1(run) for run in runs.values()])]
        cells.append(_against(runs, default, tune_f1))
        cells.append(spread([run["tune"]["0.0"]["f1"] for run in runs.values()]))
        cells.append(spread([run["test"]["f1"] for run in runs.values()]))
        cells.append(spread([run["test"]["perfect_share"] for run in runs.values()]))
        cells.append(", ".join(f"{cut:g}" for cut in sorted({run["cut"] for run in runs.values()})))
        if frozen:
            cells.append(spread([ap_tune(run) for run in runs.values()]))
            cells.append(spread([run["ap_test"] for run in runs.values()]))
            cells.append(_against(runs, default, lambda run: run["ap_test"]))
        some = next(iter(runs.values()))
        cells += [f"{some['parameters']:,}", f"{statistics.mean(run['training_cpu_s'] for run in runs.values()):.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def curve_table(results: Sequence[Result]) -> str:
    """F1 on the tune part while the rows of a larger budget were trained, as Markdown; means over the seeds.

    Not in the paper: the study is ours.
    """
    curves: dict[str, list[list[dict[str, float]]]] = {}
    for result in sorted(results, key=_order):
        if "curve" in result:
            curves.setdefault(result["row"], []).append(result["curve"])
    steps = sorted({int(point["step"]) for runs in curves.values() for curve in runs for point in curve})
    lines = ["| steps | " + " | ".join(f"{step:,}" for step in steps) + " |", "|" + "---|" * (len(steps) + 1)]
    for name, runs in curves.items():
        at = [[point["f1_tune"] for curve in runs for point in curve if point["step"] == step] for step in steps]
        lines.append(f"| {name} | " + " | ".join(spread(values) if values else "" for values in at) + " |")
    return "\n".join(lines)


def grouping_tables(results: Sequence[Result], place: str) -> dict[str, str]:
    """The tables of a study by the name of their place in a text, e.g. the track's. Not in the paper: bookkeeping."""
    tables = {f"grouping {place}": grouping_table(results)}
    if any("curve" in result for result in results):
        tables[f"curves {place}"] = curve_table(results)
    return tables


def tune_f1(result: Result) -> float:
    """Pairwise F1 on the tune part at the cut that was chosen there."""
    return result["tune"][str(result["cut"])]["f1"]


def ap_tune(result: Result) -> float:
    """AP on the tune part at the cut that was chosen there."""
    return result["ap_tune"][str(result["ap_cut"])]


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation (of a sample, so only from two values on)."""
    text = f"{statistics.mean(values):.3f}"
    return f"{text} ± {statistics.stdev(values):.3f}" if len(values) > 1 else text


def _against(runs, default, value) -> str:
    shared = sorted(runs.keys() & default.keys())
    if not shared or runs is default:
        return ""
    differences = [value(runs[seed]) - value(default[seed]) for seed in shared]
    text = f"{statistics.mean(differences):+.3f}"
    return f"{text} ± {statistics.stdev(differences):.3f}" if len(differences) > 1 else text


def _order(result: Result) -> tuple[int, int]:
    names = [row.name for row in ROWS]
    return (names.index(result["row"]) if result["row"] in names else len(names), result["seed"])


def contest_table(told: dict[str, Any]) -> str:
    """A contest of groupers as Markdown: means and standard deviations over HGG's seeds, where they differ.

    ``HGG's lead`` is that of the seed in which it is smallest, with its 95 % interval over images.

    Not in the paper: it compares with AE only.
    """
    frozen = told["track"] == FROZEN
    heads = ["grouper", "scores", "value", "F1", "people grouped perfectly", "HGG's lead in F1", "ms per image"]
    heads += ["AP"] if frozen else []
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    seeds = list(told["weights"].values())
    for name in seeds[0]:
        runs = [seed[name] for seed in seeds]
        cells = [name, runs[0]["scores"], ", ".join(f"{v:g}" for v in sorted({run["value"] for run in runs}))]
        cells += [_seeds([run["test"][share] for run in runs]) for share in ("f1", "perfect_share")]
        least = min((run["lead_f1"] for run in runs if "lead_f1" in run), default=None)
        cells.append("" if least is None else f"{least[0]:+.3f} [{least[1]:+.3f}, {least[2]:+.3f}]")
        cells.append(f"{statistics.mean(run['test']['ms_per_image'] for run in runs):.1f}")
        cells += [_seeds([run["ap_test"] for run in runs])] if frozen else []
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bins_table(told: dict[str, Any], key: str, names: Sequence[str]) -> str:
    """F1 of some groupers by number of people or by overlap, as Markdown; means over HGG's seeds.

    Args:
        key: ``people`` or ``overlap``.
        names: the groupers shown.

    Returns:
        The table; below its head, how many images there are; where there are none, the cells are empty.

    Not in the paper: its Table 1b asks the same of OCHuman.
    """
    edges = told[key]
    whole = key == "people"
    bins = [
        (f"{low}" if high == low + 1 else f"{low} to {high - 1}") if whole else f"{low:g} to {min(high, 1):g}"
        for low, high in itertools.pairwise(edges)
    ]
    if whole:
        bins[-1] = f"{edges[-2]} and more"
    seeds = list(told["weights"].values())
    images = seeds[0][names[0]][f"images_by_{key}"]
    rows = [[key, *bins], ["*images*", *map(str, images)]]
    for name in names:
        columns = zip(*(seed[name][f"f1_by_{key}"] for seed in seeds))
        rows.append([name, *(f"{statistics.mean(found):.3f}" if n else "" for n, found in zip(images, columns))])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * (len(bins) + 1), *lines[1:]])


def contest_tables(told: dict[str, Any]) -> dict[str, str]:
    """The tables of a contest by the name of their place in a text. Not in the paper: bookkeeping."""
    name = told["preset"] if told["track"] != FROZEN else FROZEN
    measured = next(iter(told["weights"].values()))
    shown = [grouper for grouper in _SHOWN if grouper in measured]
    return {
        f"groupers {name}": contest_table(told),
        f"people {name}": bins_table(told, "people", shown),
        f"overlap {name}": bins_table(told, "overlap", shown),
    }


def causes_table(told: dict[str, Any]) -> str:
    """AP with one kind of error mended, by grouper, as Markdown; means and standard deviations over HGG's seeds.

    Not in the paper: the study is ours.
    """
    seeds = list(told["weights"].values())
    groupers = list(seeds[0])
    lines = ["| mended | " + " | ".join(groupers) + " |", "|" + "---|" * (len(groupers) + 1)]
    for mended in seeds[0][groupers[0]]:
        cells = [_seeds([seed[name][mended]["ap_test"] for seed in seeds]) for name in groupers]
        lines.append(f"| {mended} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def detector_table(runs: Sequence[Result]) -> str:
    """AP of every grouper by the factor on the grouping gradient into the detector, as Markdown; over the seeds.

    Paper: Table 2, #6 against #1.
    """
    groupers = ("ae", "hgg", "oracle")
    heads = ["factor", "seeds", *(f"AP {name}" for name in groupers), "CPU s"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for factor in sorted({run["factor"] for run in runs}):
        of = [run for run in runs if run["factor"] == factor]
        cells = [f"{factor:g}", str(len(of)), *(spread([run[name]["ap_test"] for run in of]) for name in groupers)]
        cells.append(f"{statistics.mean(run['training_cpu_s'] for run in of):.0f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def with_table(text: str, name: str, table: str) -> str:
    """A Markdown text with the table between ``<!-- table NAME -->`` and ``<!-- end NAME -->`` put in place.

    Raises:
        ValueError: the text has no such place.

    Not in the paper: keeps numbers in texts from being copied by hand.
    """
    start, end = f"<!-- table {name} -->", f"<!-- end {name} -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"text: expected a place for the table {name!r}, between {start} and {end}")
    return f"{before}{start}\n{table}\n{end}{after}"


def row_tables(study: str, results: Sequence[Result], track: str) -> dict[str, str]:
    """The tables of a study of rows by the name of their place in a text. Not in the paper: bookkeeping."""
    if study == "grouping":
        return grouping_tables(results, track)
    return {f"{study} {track}": paper_table(study, results, track)}


def paper_table(study: str, results: Sequence[Result], track: str) -> str:
    """The rows of Table 2 or of Fig. 4a as Markdown: our numbers, and what each reading's reference row is ahead by.

    The differences have a 95 % interval over images and seeds (`hggbook.ablations.differences`); ± is over seeds.

    Paper: Table 2, Fig. 4a.
    """
    main = MEASURES[track]
    shown = ("f1", "perfect") if track == POSE else ("ap", "ap50", "ap75", "ar", "ar50", "ar75")
    by_row = runs_by_row(results)
    heads = ["row", "reading", "seeds", *(_HEADS[name] for name in shown), f"{_HEADS[main]} ahead of its reference"]
    heads += ["cut or threshold", "parameters", "CPU s"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in STUDIES[study]:
        runs = by_row.get(row.name)
        if not runs or track not in row.tracks:
            continue
        cells = [row.name, row.group, str(len(runs))]
        cells += [_seeds([value_of(run, name) for run in runs.values()]) for name in shown]
        reference = by_row.get(reference_of(study, row.name), {})
        shared = runs.keys() & reference.keys()
        cells.append(signed(difference(runs, reference, main)) if shared and runs is not reference else "")
        cells.append(", ".join(f"{cut:g}" for cut in sorted({_chosen(run) for run in runs.values()})))
        some = next(iter(runs.values()))
        cells += [f"{some['parameters']:,}", f"{statistics.mean(run['training_cpu_s'] for run in runs.values()):.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def reference_of(study: str, row: str) -> str:
    """The row that a row is compared with in the table of its study. Paper: sec. 4.2, which compares so."""
    reading = " (literal)" if row.endswith(" (literal)") else ""
    if study == "graphs":
        return f"full{reading}"
    return "#1 AE" if row.startswith(("#2", "#3", "#4", "#6", "#9")) else f"{FULL}{reading}"


def runs_by_row(results: Sequence[Result]) -> dict[str, dict[int, Result]]:
    """Runs by row and seed."""
    by_row: dict[str, dict[int, Result]] = {}
    for result in results:
        by_row.setdefault(result["row"], {})[result["seed"]] = result
    return by_row


def told_score(result: Result) -> str:
    """One run's scores, for a line of progress."""
    if result["track"] == IMAGE:
        groupers = [name for name in ("hgg", "ae", "oracle") if name in result]
        return "AP test " + ", ".join(f"{name} {result[name]['ap_test']:.3f}" for name in groupers)
    scores = f"F1 tune {tune_f1(result):.3f} test {result['test']['f1']:.3f}"
    return scores + (f" AP test {result['ap_test']:.3f}" if "ap_test" in result else "")


def signed(interval: Interval) -> str:
    """A difference with its interval."""
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


_HEADS = {"f1": "F1", "perfect": "people grouped perfectly"}
_HEADS |= {name: name.upper() for name in ("ap", "ap50", "ap75", "ar", "ar50", "ar75")}


def _chosen(run: Result) -> float:
    return run[run["grouper"]]["ap_cut"] if run["track"] == IMAGE else run.get("ap_cut", run["cut"])


def _seeds(values: Sequence[float]) -> str:
    return spread(values) if max(values) - min(values) > 1e-9 else f"{values[0]:.3f}"
