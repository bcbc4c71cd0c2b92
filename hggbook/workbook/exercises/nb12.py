"""Exercises and questions of notebook 12, your own images."""

import random
from typing import Any

import torch

from hggbook.skeleton import COCO
from hggbook.workbook.exercises import Exercise, Question, call
from hggbook.workbook.solutions import nb12 as solutions

TRIALS = 40
TAGS = tuple(range(1, 9))


def check_to_photo(answer: Any) -> str | None:
    """Exercise 12.e1: from the network input back into the photograph."""
    draw = random.Random(0)
    cases = [(0.0, 0.0, 64, 64, 64), (31.5, 31.5, 100, 60, 64), (-0.5, 11.5, 100, 60, 64)]
    for _ in range(TRIALS):
        width, height, size = draw.randint(1, 4000), draw.randint(1, 4000), draw.choice((64, 192, 512))
        cases.append(
            (round(draw.uniform(-0.5, size - 0.5), 2), round(draw.uniform(-0.5, size - 0.5), 2), width, height, size)
        )
    for x, y, width, height, size in cases:
        expected = solutions.to_photo(x, y, width, height, size)
        result = tuple(float(value) for value in call(answer, x, y, width, height, size))
        if len(result) != 2:
            return f"expected two numbers, x and y, got {len(result)}"
        if max(abs(a - b) for a, b in zip(result, expected)) > 1e-3 * max(1.0, max(width, height) / 1000):
            return (
                f"({x:g}, {y:g}) in an input of {size} pixels, photograph of {width} x {height}: expected "
                f"({expected[0]:.3f}, {expected[1]:.3f}), got ({result[0]:.3f}, {result[1]:.3f})"
            )
    return None


def check_average_views(answer: Any) -> str | None:
    """Exercise 12.e2: flip testing of heatmaps."""
    for seed in range(TRIALS):
        generator = torch.Generator().manual_seed(seed)
        h, w = (int(n) for n in torch.randint(2, 7, (2,), generator=generator))
        heat, mirrored = (torch.rand(17, h, w, generator=generator) for _ in range(2))
        swap = list(COCO.flip_order)
        expected = solutions.average_views(heat, mirrored, swap)
        result = torch.as_tensor(call(answer, heat.clone(), mirrored.clone(), swap))
        if result.shape != expected.shape:
            return f"expected shape {tuple(expected.shape)}, got {tuple(result.shape)}"
        off = (result - expected).abs()
        if off.max() > 1e-5:
            k, row, column = (int(n) for n in torch.unravel_index(off.argmax(), off.shape))
            return (
                f"{COCO.keypoints[k]}, row {row}, column {column} of a map of {h} x {w} cells: expected "
                f"{expected[k, row, column]:.3f}, got {result[k, row, column]:.3f}; in the image it is "
                f"{heat[k, row, column]:.3f}, in the mirror image {mirrored[k, row, column]:.3f}"
            )
    return None


def check_upright(answer: Any) -> str | None:
    """Exercise 12.e3: orientation tags."""
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        image = torch.randperm(6, generator=generator).reshape((2, 3) if seed else (3, 2))
        for tag in TAGS:
            expected = solutions.upright(image, tag)
            result = torch.as_tensor(call(answer, image.clone(), tag))
            if result.shape != expected.shape or not torch.equal(result, expected):
                return f"tag {tag}, stored {image.tolist()}: expected {expected.tolist()}, got {result.tolist()}"
    return None


def check_needed_side(answer: Any) -> str | None:
    """Exercise 12.e4: how large the network's input must be."""
    draw = random.Random(0)
    cases = [(200.0, 4000.0, 20.0), (500.0, 1000.0, 8.0), (100.0, 1600.0, 4.0)]
    for _ in range(TRIALS):
        long_side = float(draw.randint(200, 6000))
        cases.append((float(draw.randint(20, int(long_side))), long_side, float(draw.randint(3, 60))))
    for person, long_side, cells in cases:
        expected, result = (
            solutions.needed_side(person, long_side, cells),
            float(call(answer, person, long_side, cells)),
        )
        if result != expected:
            high = result * person / long_side / solutions.STRIDE
            return (
                f"a person of {person:g} pixels in a photograph of {long_side:g}, to be {cells:g} cells high: expected "
                f"{expected}, got {result:g}, where it is {high:.2f} cells high"
            )
    return None


EXERCISES = (
    Exercise(
        "12.e1",
        "Write to_photo(x, y, width, height, size): a place in the network input as a place in the photograph.",
        check_to_photo,
        (
            "First undo the padding, then the scale. The long side fits the square; the other is centred.",
            "An integer is a pixel's centre: count from the image's edge, which lies half a pixel before it.",
            "scale = size / max(width, height); left = (size - scale * width) / 2; x -> (x + 0.5 - left) / scale - 0.5",
        ),
    ),
    Exercise(
        "12.e2",
        "Write average_views(heat, mirrored, swap): the mean heatmaps of an image and its mirror image.",
        check_average_views,
        (
            "Two things change in a mirror: where a keypoint is, and whether it is a left or a right one.",
            "mirrored.flip(-1) puts the columns back. The map of the left wrist is then still in the right one's row.",
            "(heat + mirrored[swap].flip(-1)) / 2",
        ),
    ),
    Exercise(
        "12.e3",
        "Write upright(image, tag): turn and mirror a stored (h, w) tensor as its orientation tag says.",
        check_upright,
        (
            "Tags 5 to 8 exchange rows and columns: image.T. The rest is mirroring, of columns, of rows, or both.",
            "Read the table: where is the first stored row seen, where the first column? Tag 6: row right, column top.",
            "Transpose for 5, 6, 7, 8; then flip(1) for 2, 3, 6, 7; then flip(0) for 3, 4, 7, 8.",
        ),
    ),
    Exercise(
        "12.e4",
        "Write needed_side(person, long_side, cells): the smallest input, a multiple of 64, for a small person.",
        check_needed_side,
        (
            "A cell is 4 input pixels. How many input pixels is the person high if the long side becomes `side`?",
            "person * side / long_side / 4 must be at least `cells`. Solve for side, then go up to a multiple of 64.",
            "math.ceil(4 * cells * long_side / person / 64) * 64",
        ),
    ),
)

QUESTIONS = (
    Question(
        "12.q1",
        "A phone stores a portrait photograph lying on its side, with an orientation tag. Who must not apply the tag?",
        {
            "a": "A viewer.",
            "b": "hggbook predict.",
            "c": "A loader of annotated data whose coordinates are of the stored pixels, such as COCO's.",
        },
        "c",
        {
            "a": "No: people would lie on their side.",
            "b": "No: the network has seen people upright, and turned by a quarter it finds far less.",
            "c": "Yes: the annotations would then lie beside the people. Both readings are right, each in its place.",
        },
    ),
    Question(
        "12.q2",
        "On photographs, weights trained on scenes do badly even with an oracle for a grouper. What is to be replaced?",
        {
            "a": "The grouper: train it on people of photographs.",
            "b": "The detector: candidates that are nobody's cannot be grouped right by anybody.",
            "c": "The cut: tune it on photographs.",
        },
        "b",
        {
            "a": "No: with the truth as grouper it is still bad, so the grouper is not to blame (not first).",
            "b": "Yes: weights trained on photographs, or the candidates of another detector.",
            "c": "No: a cut chooses among the candidates that there are.",
        },
    ),
    Question(
        "12.q3",
        "You ran this notebook on a photograph of friends and send a colleague the executed file. What have you sent?",
        {
            "a": "The code only: outputs hold numbers.",
            "b": "The coordinates of keypoints.",
            "c": "The photograph too: every figure is in the file.",
        },
        "c",
        {
            "a": "No: a figure is an output, and it is stored in the file.",
            "b": "No: more than that. Look at the figures.",
            "c": "Yes: clear the outputs first (Kernel, Restart Kernel and Clear Outputs of All Cells).",
        },
    ),
)
