"""How well candidates were grouped, apart from how well they were found."""

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from hggbook.types import Targets


@dataclass(frozen=True)
class GroupingCounts:
    """What `grouping_counts` counted. Counts of several batches add up (``sum(counts, GroupingCounts())``).

    Where there was nothing to get right or wrong, a share is 1: precision of no claimed pair, recall of no true pair,
    perfect share of no people. No share is ever NaN.

    Attributes:
        true_positive, false_positive, false_negative: pairs of candidates.
        people: annotated people with two or more matched candidates.
        perfect: those of them that were grouped perfectly.
        splits: cuts through people: over all people, the number of clusters that hold one's candidates, minus 1.
        merges: people joined wrongly: over all clusters, the number of people in one, minus 1.
        mixed: clusters that hold candidates of two or more people.

    Not in the paper: it reports AP only, which mixes grouping with detection.
    """

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0
    people: int = 0
    perfect: int = 0
    splits: int = 0
    merges: int = 0
    mixed: int = 0

    def __add__(self, other: "GroupingCounts") -> "GroupingCounts":
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return GroupingCounts(*(mine + theirs for mine, theirs in pairs))

    @property
    def precision(self) -> float:
        """Share of the pairs put together that belong together."""
        return _share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of the pairs that belong together that were put together."""
        return _share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _share(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)

    @property
    def perfect_share(self) -> float:
        """Share of people grouped perfectly."""
        return _share(self.perfect, self.people)

    def summary(self) -> dict[str, float]:
        """Shares and counts by name, ready for a log or a table."""
        shares = {name: getattr(self, name) for name in ("precision", "recall", "f1", "perfect_share")}
        return shares | {key: float(value) for key, value in dataclasses.asdict(self).items()}


def grouping_counts(person: Int64[Tensor, "N"], targets: Targets) -> GroupingCounts:
    """Compare a grouping with the annotations: the sum of `image_counts` over the images.

    Args:
        person: (N,) cluster of each candidate, numbered over the batch; -1 = left out, a cluster of its own.
        targets: what each candidate really is.

    Raises:
        ValueError: a different number of candidates in the two.

    Not in the paper: it reports AP only, which mixes grouping with detection.
    """
    everything = torch.zeros_like(person), 1
    return GroupingCounts(*image_counts(person, targets, *everything).sum(dim=0).tolist())


def image_counts(
    person: Int64[Tensor, "N"], targets: Targets, image: Int64[Tensor, "N"], num_images: int
) -> Int64[Tensor, "B 8"]:
    """Compare a grouping with the annotations, over the candidates that were matched to annotated keypoints.

    Call a candidate of annotated person P an *inlier* of P, a second candidate on a keypoint of P a *duplicate* of P,
    and every other one *background*. Candidates whose ``targets.counts`` is False (crowd regions, padding) do not exist
    here. Of two candidates in one cluster

    - two inliers of one person are a true positive pair;
    - inliers of different people, an inlier and a background candidate, and an inlier of P and a duplicate of another
      person are a false positive pair each;
    - all else (background with background, a duplicate with its own person, with a duplicate or with background) does
      not count.

    Two inliers of one person in different clusters are a false negative pair. A person with two or more inliers is
    grouped *perfectly* if one cluster holds them all and nothing else but duplicates of that person.

    Args:
        person: (N,) cluster of each candidate, numbered over the batch; -1 = left out, a cluster of its own.
        targets: what each candidate really is.
        image: (N,) image of each candidate; a cluster lies in one image, and so does a person.
        num_images: B.

    Returns:
        (B, 8) the fields of `GroupingCounts` for each image, in their order.

    Raises:
        ValueError: a different number of candidates in the two.

    Not in the paper: it reports AP only, which mixes grouping with detection.
    """
    if person.shape != targets.person.shape:
        raise ValueError(f"grouping counts: {len(targets.person)} candidates have targets, {len(person)} a cluster")
    kept = targets.counts
    cluster, owner, duplicate, image = person[kept], targets.person[kept], targets.duplicate[kept], image[kept]
    cluster = torch.where(cluster < 0, -(cluster < 0).cumsum(0), cluster)  # its own number for each that was left out
    cluster = torch.unique(cluster, return_inverse=True)[1]
    clusters, people = int(cluster.max()) + 1 if len(cluster) else 0, targets.batch.shape[0]
    inlier, doubled = owner >= 0, (owner < 0) & (duplicate >= 0)
    image_of_cluster = torch.zeros(clusters, dtype=torch.int64, device=image.device).scatter_(0, cluster, image)
    image_of_person = torch.zeros(people, dtype=torch.int64, device=image.device)
    image_of_person = image_of_person.scatter_(0, owner[inlier], image[inlier])

    # The contingency table of clusters (rows) and people (columns), as its cells that are not zero.
    cell, in_cell = torch.unique(cluster[inlier] * people + owner[inlier], return_counts=True)
    row, column = cell // max(people, 1), cell % max(people, 1)
    in_cluster = torch.bincount(cluster[inlier], minlength=clusters)
    of_person = torch.bincount(owner[inlier], minlength=people)
    people_in, clusters_of = torch.bincount(row, minlength=clusters), torch.bincount(column, minlength=people)
    # Wrong pairs with what is no inlier: background with all inliers, a duplicate with those of other people.
    background = cluster[~inlier & ~doubled]
    strange = in_cluster[cluster[doubled]] - _lookup(cell, in_cell, cluster[doubled] * people + duplicate[doubled])
    foul = torch.bincount(background, minlength=clusters)
    foul = foul + torch.bincount(cluster[doubled][strange > 0], minlength=clusters)
    whole = (in_cell == of_person[column]) & (in_cell == in_cluster[row]) & (foul[row] == 0)

    def total(value: Tensor, of: Tensor) -> Tensor:
        return torch.zeros(num_images, dtype=torch.int64, device=of.device).index_add_(0, of, value.long())

    same = total(_pairs(in_cell), image_of_person[column])
    false_positive = total(_pairs(in_cluster) + in_cluster * torch.bincount(background, minlength=clusters),
                           image_of_cluster) - same + total(strange, image[doubled])
    columns = {
        "true_positive": same,
        "false_positive": false_positive,
        "false_negative": total(_pairs(of_person), image_of_person) - same,
        "people": total(of_person > 1, image_of_person),
        "perfect": total(whole & (in_cell > 1), image_of_person[column]),
        "splits": total((clusters_of - 1).clamp(min=0), image_of_person),
        "merges": total((people_in - 1).clamp(min=0), image_of_cluster),
        "mixed": total(people_in > 1, image_of_cluster),
    }
    return torch.stack([columns[field.name] for field in dataclasses.fields(GroupingCounts)], dim=1)


@dataclass(frozen=True)
class CandidateErrors:
    """What is wrong with each candidate of a grouping, in the words of `image_counts`. Several may be true of one.

    Attributes:
        split: (N,) an inlier outside the cluster that holds most of its person's inliers.
        merge: (N,) an inlier in a cluster of which another person has more inliers.
        stray: (N,) no inlier, and in a wrong pair: background in a cluster with an inlier, or a duplicate with another
            person's.

    Of equally large parts, the one in the cluster (the one of the person) of the lower number is where it belongs.

    Not in the paper: for pictures of errors.
    """

    split: Bool[Tensor, "N"]
    merge: Bool[Tensor, "N"]
    stray: Bool[Tensor, "N"]


def candidate_errors(person: Int64[Tensor, "N"], targets: Targets) -> CandidateErrors:
    """Which candidates a grouping put in the wrong place.

    Args:
        person: (N,) cluster of each candidate, numbered over the batch; -1 = left out, a cluster of its own.
        targets: what each candidate really is; one whose ``counts`` is False has no error.

    Raises:
        ValueError: a different number of candidates in the two.

    Not in the paper: it reports AP only.
    """
    if person.shape != targets.person.shape:
        raise ValueError(f"candidate errors: {len(targets.person)} candidates have targets, {len(person)} a cluster")
    inlier = (targets.person >= 0) & targets.counts
    cluster = torch.where(person < 0, -(person < 0).cumsum(0), person)
    cluster = torch.unique(cluster, return_inverse=True)[1]
    clusters, people = int(cluster.max()) + 1 if len(cluster) else 0, len(targets.batch)
    cell, size = torch.unique(cluster[inlier] * people + targets.person[inlier], return_counts=True)
    row, column = cell // max(people, 1), cell % max(people, 1)

    def largest(groups: int, of: Tensor, which: Tensor, number: int) -> Tensor:
        """For each group the ``which`` (0 to number - 1) with the largest part, the lower one if equal; -1 if none."""
        key = torch.full((groups,), -1, dtype=torch.int64, device=of.device)
        key = key.scatter_reduce_(0, of, size * number + (number - 1 - which), "amax")
        return torch.where(key >= 0, number - 1 - key % max(number, 1), -1)

    home, holder = largest(people, column, row, clusters), largest(clusters, row, column, people)
    split, merge = torch.zeros_like(inlier), torch.zeros_like(inlier)
    split[inlier] = home[targets.person[inlier]] != cluster[inlier]
    merge[inlier] = holder[cluster[inlier]] != targets.person[inlier]
    inliers = torch.bincount(cluster[inlier], minlength=clusters)[cluster]
    own = torch.where(targets.duplicate >= 0, _lookup(cell, size, cluster * people + targets.duplicate), 0)
    return CandidateErrors(split, merge, ~inlier & targets.counts & (inliers > own))


def _share(part, whole):
    return part / whole if whole else 1.0


def _pairs(count):
    return count * (count - 1) // 2


def _lookup(keys, values, wanted):
    """Value of each wanted key, 0 where it is missing; keys ascending."""
    if not len(keys):
        return torch.zeros_like(wanted)
    place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return torch.where(keys[place] == wanted, values[place], 0)
