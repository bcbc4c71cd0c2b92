"""Where the time goes: detector against grouping, and one graph configuration against another. Paper: 4.5, Fig. 4b.

Times of one machine mean little on another; what is told are shares and ratios, taken in one run, the things compared
one after the other on the same image, and the median over images.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from hggbook.data.labelled import LabelledCandidates
from hggbook.grouping.graph import build_graph, node_features
from hggbook.model import HGG
from hggbook.types import Candidates, Maps


@torch.no_grad()
def runtime_shares(
    detector: Callable[[Tensor], Maps], propose: Callable[[Maps], Candidates], groupers: Mapping[str, HGG],
    labelled: LabelledCandidates, size: int, *, images: int = 20, detector_images: int = 3,
) -> dict[str, Any]:
    """Median time of every part on one image at a time, as shares and ratios.

    The detector and the search for peaks see noise, whose values their time does not depend on; the groupers see real
    or simulated candidates, whose number theirs does.

    Args:
        detector: images (1, 3, size, size) -> maps.
        propose: maps -> candidates.
        groupers: models with a grouping stage, by name; those compared get the same candidates in turn.
        labelled: candidates of at least ``images`` images.
        size: of the detector's input, pixels.
        images: that every grouper groups, after one that is not counted.
        detector_images: passes of the detector, after one that is not counted.

    Returns:
        ``parts``: by grouper, the share of ``detector``, ``proposals``, ``graph and GNN`` and ``clustering`` in the
        time of a whole image; ``grouping``: by grouper, the share of the last two; ``relative``: by grouper, time of
        its grouping and of the whole image over those of the first; ``candidates``: mean number in an image.

    Raises:
        ValueError: too few images.

    Paper: sec. 4.5 (one image at a time, one thread), Fig. 4b.
    """  # fmt: skip
    if labelled.num_images < images + 1:
        raise ValueError(f"runtime: expected candidates of {images + 1} images, got {labelled.num_images}")
    noise = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    found: dict[str, list[float]] = {"detector": [], "proposals": []}
    for _ in range(1 + detector_images):
        start = time.perf_counter()
        maps = detector(noise)
        middle = time.perf_counter()
        propose(maps)
        found["detector"].append(middle - start)
        found["proposals"].append(time.perf_counter() - middle)
    whole = {name: statistics.median(seconds[1:]) for name, seconds in found.items()}

    embedding = {name: [] for name in groupers}
    clustering = {name: [] for name in groupers}
    number = []
    for image in range(1 + images):
        candidates = labelled.select(torch.tensor([image])).candidates
        number.append(len(candidates))
        for name, model in groupers.items():
            start = time.perf_counter()
            graph = model.embed(candidates)
            middle = time.perf_counter()
            model.ohgc(graph)
            embedding[name].append(middle - start)
            clustering[name].append(time.perf_counter() - middle)
    told: dict[str, Any] = {"parts": {}, "grouping": {}, "relative": {}, "candidates": statistics.mean(number[1:])}
    first = None
    for name in groupers:
        # the median of each part; the median of sums would favour no part either, but shares would not add up to one
        parts = whole | {"graph and GNN": statistics.median(embedding[name][1:])}
        parts |= {"clustering": statistics.median(clustering[name][1:])}
        total = sum(parts.values())
        own = parts["graph and GNN"] + parts["clustering"]
        first = first or (own, total)
        told["parts"][name] = {part: round(seconds / total, 5) for part, seconds in parts.items()}
        told["grouping"][name] = round(own / total, 5)
        told["relative"][name] = {"grouping": round(own / first[0], 4), "whole": round(total / first[1], 4)}
    return told


@torch.no_grad()
def scaling(model: HGG, sets: Mapping[int, LabelledCandidates], *, images: int = 10) -> list[dict[str, int | float]]:
    """How nodes, edges, rounds and time grow with the number of people.

    Args:
        model: with a grouping stage.
        sets: by number of people, candidates of images with so many.
        images: of each set, after one that is not counted.

    Returns:
        For every number: ``people``, mean ``nodes`` and ``edges`` of the first graph, mean ``rounds``, and the median
        ``time`` of the grouping, relative to the first number's.

    Raises:
        ValueError: too few images.

    Not in the paper: it says that an image has about 30 keypoints (sec. 3.1).
    """
    told, first = [], None
    if few := [people for people, labelled in sets.items() if labelled.num_images < images + 1]:
        raise ValueError(f"scaling: expected {images + 1} images of every number of people, fewer have {few}")
    for people, labelled in sets.items():
        seconds, nodes, edges, rounds = [], [], [], []
        for image in range(1 + images):
            candidates = labelled.select(torch.tensor([image])).candidates
            start = time.perf_counter()
            grouping = model.group(candidates)
            seconds.append(time.perf_counter() - start)
            graph = build_graph(candidates, node_features(candidates, len(model.linked)), model.linked)
            nodes.append(graph.num_nodes)
            edges.append(graph.num_edges)
            rounds.append(int(grouping.rounds.max()))
        median = statistics.median(seconds[1:])
        first = first or median
        means = {"nodes": nodes, "edges": edges, "rounds": rounds}
        told.append({name: round(statistics.mean(values[1:]), 2) for name, values in means.items()})
        told[-1] |= {"people": people, "time": round(median / first, 3)}
    return told
