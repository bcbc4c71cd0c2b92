"""Exercises and questions of notebook 03, graph construction."""

import random
from typing import Any

import networkx as nx

from hggbook.skeleton import COCO
from hggbook.workbook.exercises import Exercise, Question, call
from hggbook.workbook.solutions import nb03 as solutions

TRIALS = 60
FEWEST_HIDDEN = 3  # found by trying all smaller sets; `tests/workbook/test_nb03.py` tries them again
LEAST_PIECE = 2


def _random_batch(seed: int) -> tuple[list[int], list[int]]:
    """Types and images of a few candidates, ordered by image and type; images may be empty."""
    rng = random.Random(seed)
    types, batch = [], []
    for image in range(rng.randint(1, 3)):
        here = sorted(rng.randrange(3) for _ in range(rng.choice((0, 1, 2, 3, 4))))
        types += here
        batch += [image] * len(here)
    return types, batch


def check_edge_pairs(answer: Any) -> str | None:
    """Exercise 03.e1: edges of random batches, empty ones included."""
    for seed in range(TRIALS):
        types, batch = _random_batch(seed)
        result = [(int(i), int(j)) for i, j in call(answer, list(types), list(batch))]
        expected = solutions.edge_pairs(types, batch)
        if result != expected:
            return f"types {types}, batch {batch}: expected {expected}, got {result}"
    return None


def check_balance(answer: Any) -> str | None:
    """Exercise 03.e2: edges of random images, counted by listing them."""
    for seed in range(TRIALS):
        rng = random.Random(seed)
        people = [set(rng.sample(range(4), rng.randint(0, 4))) for _ in range(rng.randint(0, 3))]
        nodes = [(kind, person) for person, found in enumerate(people) for kind in sorted(found)]
        pairs = [(a, b) for i, a in enumerate(nodes) for b in nodes[i + 1 :] if a[0] != b[0]]
        expected = (len(pairs), sum(a[1] == b[1] for a, b in pairs))
        result = call(answer, [set(found) for found in people])
        if not isinstance(result, tuple | list) or len(result) != 2:
            return f"expected two counts (edges, within one person), got {result!r}"
        if (result[0], result[1]) != expected:
            return f"people with the types {people}: expected {expected}, got {tuple(result)}"
    return None


def pieces(hidden: set[int], configuration: str) -> list[int]:
    """Sizes of the connected pieces of a body whose keypoints ``hidden`` are not found, the largest first."""
    body = nx.from_numpy_array(COCO.linked(configuration).astype(int))
    body.remove_nodes_from(hidden)
    return sorted(map(len, nx.connected_components(body)), reverse=True)


def check_hidden(answer: Any) -> str | None:
    """Exercise 03.e3: the fewest hidden keypoints that split a body in the extended graph."""
    if isinstance(answer, str) or not all(isinstance(name, str) for name in answer):
        return f"expected a set of keypoint names, such as {{'nose', 'left_hip'}}, got {answer!r}"
    names = set(answer)
    if unknown := sorted(names - set(COCO.keypoints)):
        return f"COCO has no keypoint {', '.join(unknown)}; the names are {', '.join(COCO.keypoints)}"
    sizes = pieces({COCO.keypoints.index(name) for name in names}, "extended")
    if sum(size >= LEAST_PIECE for size in sizes) < 2:
        return f"with {len(names)} hidden, the pieces have {sizes} keypoints; expected two of {LEAST_PIECE} or more"
    if len(names) > FEWEST_HIDDEN:
        return f"that splits the body into pieces of {sizes} keypoints, but fewer than {len(names)} suffice"
    return None


EXERCISES = (
    Exercise(
        "03.e1",
        "Write the edges of a disjoint batch: edge_pairs(types, batch) returns the pairs (i, j) in order.",
        check_edge_pairs,
        (
            "Two loops: i over all candidates, j over those after i. Then two conditions.",
            "One condition compares the types, the other the images of the two candidates.",
            "Keep (i, j) if types[i] != types[j] and batch[i] == batch[j].",
        ),
    ),
    Exercise(
        "03.e2",
        "Count the edges of the full graph and those within one person: balance(people) returns two numbers.",
        check_balance,
        (
            "With n candidates there are n (n - 1) / 2 pairs. Which of them are no edges?",
            "Pairs of one type are no edges: for each type, count the people who have it, and take their pairs away.",
            "A person with t found types has t (t - 1) / 2 edges of its own: nobody has two keypoints of one type.",
        ),
    ),
    Exercise(
        "03.e3",
        "Find the smallest set of keypoint names that splits a body in the extended graph when it is hidden.",
        check_hidden,
        (
            "Look at the drawing of the extended graph: which part of the body hangs on the rest by few keypoints?",
            "The face is linked to the rest only over the nose and over what is one bone away from the nose.",
            "Which keypoints do you have to hide so that no link leads from eyes and ears to anything else?",
        ),
    ),
)

QUESTIONS = (
    Question(
        "03.q1",
        "An image has twice as many candidates as another. How many edges does its full graph have, roughly?",
        {"a": "Twice as many.", "b": "Four times as many.", "c": "As many: the configuration sets the number."},
        "b",
        {
            "a": "No: each candidate has twice as many partners, and there are twice as many candidates.",
            "b": "Yes: pairs grow with the square of the candidates.",
            "c": "No: the configuration says which types are linked; all candidates of two such types pair up.",
        },
    ),
    Question(
        "03.q2",
        "A background candidate of type left knee meets the nose of a person whose left knee is not annotated. Label?",
        {"a": "0: it is background.", "b": "1: it may be the knee.", "c": "None: the annotation does not know."},
        "c",
        {
            "a": "No: the person may well have a left knee that nobody labelled, and this may be it.",
            "b": "No: it may also be somebody else's, or no knee at all.",
            "c": "Yes: the loss skips this edge. It would be 0 if the person's left knee were annotated elsewhere.",
        },
    ),
    Question(
        "03.q3",
        "Why is the number of images stored and not taken from the batch vector?",
        {
            "a": "It saves time.",
            "b": "An image without candidates at the end of the batch leaves no trace in the vector.",
            "c": "An image without candidates in the middle would shift all later ones.",
        },
        "b",
        {
            "a": "No: the largest entry is found in no time. It can be wrong, though.",
            "b": "Yes: batch.max() + 1 then counts too few images.",
            "c": "No: later rows still carry their own image number, whatever lies between.",
        },
    ),
)
