"""What stands between a grouper and the oracle on a frozen detector: one kind of error taken back at a time.

AP mixes all errors of a grouping. Here the annotations mend one kind, everything else stays as the grouper left it, and
the AP that this gains is what that kind of error costs.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from hggbook.ablations.scoring import on_frozen, tuned_ap
from hggbook.compare.candidates import Contender, Group, once
from hggbook.compare.contenders import contenders_of
from hggbook.config import Config
from hggbook.grouping.groupers import number_groups
from hggbook.model import HGG
from hggbook.types import Candidates, Targets

Mend = Callable[[Group, Candidates, Targets], Int64[Tensor, "N"]]
GROUPERS = ("ae", "hgg", "contraction/hgg", "oracle")


def causes(model: HGG, config: Config, frozen: Path) -> dict[str, dict[str, dict[str, object]]]:
    """AP on the test part with one kind of error mended, by grouper and by what was mended.

    Args:
        model, config: HGG's grouping stage, trained on this detector's candidates.
        frozen: folder with ``tune.safetensors`` and ``test.safetensors``; every grouper's number is chosen on tune, for
            each mending anew.

    Paper: sec. 4.3 (failure cases) only names what grouping cannot mend.
    """
    known = contenders_of(model, config, exact=False)

    def score(contender: Contender) -> dict[str, dict[str, object]]:
        groups = {value: once(contender.make(value)) for value in contender.values or (contender.default,)}

        def mended(mend: Mend) -> dict[str, object]:
            make = on_frozen(lambda value: partial(mend, groups[value]))
            return tuned_ap(make, contender.values, contender.default, frozen)

        return {what: mended(mend) for what, mend in MENDINGS.items()}

    return {name: score(known[name]) for name in GROUPERS}


def as_it_is(group: Group, candidates: Candidates, targets: Targets) -> Int64[Tensor, "N"]:
    """Nothing mended."""
    return group(candidates, targets)


def merges_undone(group: Group, candidates: Candidates, targets: Targets) -> Int64[Tensor, "N"]:
    """Clusters that hold several people are taken apart; what is nobody's stays with the person who has most of it."""
    return _apart(group(candidates, targets), targets.person)


def splits_joined(group: Group, candidates: Candidates, targets: Targets) -> Int64[Tensor, "N"]:
    """Clusters that mostly hold one and the same person become one."""
    return _joined(group(candidates, targets), targets.person)


def background_taken_out(group: Group, candidates: Candidates, targets: Targets) -> Int64[Tensor, "N"]:
    """After grouping, what is not an annotated person's best candidate is left out of the poses."""
    return torch.where(targets.person >= 0, group(candidates, targets), -1)


def background_never_seen(group: Group, candidates: Candidates, targets: Targets) -> Int64[Tensor, "N"]:
    """The grouper only gets the candidates that are annotated people's."""
    rows = (targets.person >= 0).nonzero()[:, 0]
    c, t = candidates, targets
    found = group(
        Candidates(c.xy[rows], c.type[rows], c.score[rows], c.embedding[rows], c.batch[rows], c.size),
        Targets(t.person[rows], t.duplicate[rows], t.counts[rows], t.annotated, t.batch),
    )
    return torch.full_like(targets.person, -1).index_put((rows,), found)


def all_but_background(group: Group, candidates: Candidates, targets: Targets) -> Int64[Tensor, "N"]:
    """Merges undone and splits joined: only what is nobody's is where the grouper put it."""
    return _joined(merges_undone(group, candidates, targets), targets.person)


MENDINGS = {
    "nothing": as_it_is,
    "wrong merges": merges_undone,
    "splits": splits_joined,
    "wrong merges and splits": all_but_background,
    "background in poses": background_taken_out,
    "background in the graph": background_never_seen,
}


def _majority(person: Int64[Tensor, "N"], true: Int64[Tensor, "N"]) -> Int64[Tensor, "G"]:
    """The annotated person that each cluster holds most candidates of (of equals the first), -1 if of nobody."""
    groups, people = int(person.max()) + 1, _people(true)
    if people == 0 or groups == 0:
        return torch.full((groups,), -1)
    owned = (true >= 0) & (person >= 0)
    count = torch.bincount(person[owned] * people + true[owned], minlength=groups * people).view(groups, people)
    return torch.where(count.amax(dim=1) > 0, count.argmax(dim=1), -1)


def _apart(person: Int64[Tensor, "N"], true: Int64[Tensor, "N"]) -> Int64[Tensor, "N"]:
    """Every cluster is divided by whose its candidates are; what was left out stays out."""
    owner = torch.where(true >= 0, true, _owner(person, true))
    parts = _people(true) + 1
    return number_groups(torch.where(person >= 0, person * parts + owner + 1, -1))


def _joined(person: Int64[Tensor, "N"], true: Int64[Tensor, "N"]) -> Int64[Tensor, "N"]:
    """Clusters of one and the same person are one cluster; what was left out stays out."""
    owner = _owner(person, true)
    own = _people(true) + person
    return number_groups(torch.where(person < 0, -1, torch.where(owner >= 0, owner, own)))


def _people(true: Int64[Tensor, "N"]) -> int:
    return int(true.max()) + 1 if len(true) else 0


def _owner(person: Int64[Tensor, "N"], true: Int64[Tensor, "N"]) -> Int64[Tensor, "N"]:
    """Whom the cluster of every candidate belongs to; -1: to nobody, or the candidate was left out."""
    owner = torch.full_like(person, -1)
    kept = person >= 0
    owner[kept] = _majority(person, true)[person[kept]] if kept.any() else owner[kept]
    return owner


__all__ = ["GROUPERS", "MENDINGS", "causes"]
