"""Exercises and questions of notebook 10, ablations."""

from typing import Any

import torch

from hggbook.workbook.exercises import Exercise, Question, call, judge_letters
from hggbook.workbook.solutions import nb10 as solutions

TRIALS = 40
REASONS = {
    "a": "one thing changes, both sides are tuned alike, and test is only looked at",
    "b": "one side is tuned to these candidates and the other is not; its threshold belongs to another detector",
    "c": "the steps before count too: ours has had a larger budget",
    "d": "the best of five says what luck can do, and more so for the method that varies more; report the mean",
    "e": "to diverge is something that this loss weight does; leaving it out keeps only its good days",
    "f": "two things changed, size and wiring; the sentence picks one of them",
}


def check_holm(answer: Any) -> str | None:
    """Exercise 10.e1: Holm's rule on random p-values."""
    for seed in range(TRIALS):
        generator = torch.Generator().manual_seed(seed)
        rows, alpha = 1 + seed % 7, (0.05, 0.1, 0.2)[seed % 3]
        # some small, some not, spread so that Holm's bounds lie between them
        p = (alpha / rows * 2.5 * torch.rand(rows, generator=generator, dtype=torch.float64)).round(decimals=4).tolist()
        found = [bool(value) for value in call(answer, list(p), alpha)]
        expected = solutions.holm(p, alpha)
        if found != expected:
            return f"p_values = {p}, alpha = {alpha}: expected {expected}, got {found}"
    return None


def check_effects(answer: Any) -> str | None:
    """Exercise 10.e2: two effects and their interaction."""
    for seed in range(TRIALS):
        generator = torch.Generator().manual_seed(seed)
        score = torch.randint(500, 700, (2, 2), generator=generator).div(10).tolist()
        found = tuple(float(value) for value in call(answer, [list(row) for row in score]))
        expected = solutions.effects(score)
        if len(found) != 3:
            return f"expected three numbers, got {len(found)}"
        if any(abs(a - b) > 1e-6 for a, b in zip(found, expected)):
            told = ", ".join(f"{value:.1f}" for value in expected)
            return f"score = {score}: expected {told}, got {', '.join(f'{value:.1f}' for value in found)}"
    return None


def check_fair(answer: Any) -> str | None:
    """Exercise 10.e3: which comparisons are fair."""
    more = "{number} more of the six is fair: look for the one that breaks none of the rules"
    return judge_letters(answer, REASONS, solutions.FAIR, "is not fair", more)


EXERCISES = (
    Exercise(
        "10.e1",
        "Write holm(p_values, alpha): which rows hold if the chance of any false alarm may be alpha at most.",
        check_holm,
        (
            "Sort the rows by their p-value, but remember where each one stood.",
            "The k-th smallest of n, counted from 0, is held against alpha / (n - k). The bound grows as you go.",
            "Stop at the first p-value above its bound: that row and all after it do not hold, whatever their bounds.",
        ),
    ),
    Exercise(
        "10.e2",
        "Write effects(score): the effect of X without Y, with Y, and their interaction.",
        check_effects,
        (
            "The effect of X is a difference of two scores in which Y is the same.",
            "score[1][0] - score[0][0] is the effect without Y. With Y, the second index is 1 in both.",
            "The interaction is the effect with Y less the effect without: zero if the two do not care for each other.",
        ),
    ),
    Exercise(
        "10.e3",
        "Which of the comparisons a to f are fair? Answer with a set of letters.",
        check_fair,
        (
            "Ask of each: do the two sides differ in one thing only, and has each had the same care and the same luck?",
            "Care is tuning; budget is everything that was ever trained; luck is what is left out or picked.",
            "Only one of the six breaks no rule.",
        ),
    ),
)

QUESTIONS = (
    Question(
        "10.q1",
        "The 95 % interval of a difference of AP is [-0.004, +0.012]. What may you write?",
        {
            "a": "The change has no effect.",
            "b": "These runs cannot tell whether the change helps; if it does, by about a point at most.",
            "c": "The change helps by 0.4 points.",
        },
        "b",
        {
            "a": "An interval that holds zero also holds +0.01: no effect was shown, which is not the same.",
            "b": "It is also worth saying what it would take to tell: more images if they are few, else more seeds.",
            "c": "That is the middle of the interval, and chance alone could have put it there.",
        },
    ),
    Question(
        "10.q2",
        "On the track pose, row #6 (grouped by AE) is not run at all. Why?",
        {
            "a": "AE greedy takes too long on COCO's crowds.",
            "b": "Without images there is no tune set.",
            "c": "It would be row #1 over again: no loss can reach the candidates or their embeddings there.",
        },
        "c",
        {
            "a": "AE greedy is among the fastest groupers; row #1 runs it there.",
            "b": "There is one: the images whose number leaves 1 when divided by 20.",
            "c": "#6 asks whether the losses improve the detector, and the track pose has none to improve.",
        },
    ),
    Question(
        "10.q3",
        "The paper has 2.8 AP over AE: 2.0 by the edge discriminator, then 0.8 by the macro-node losses. "
        "What would a row with the macro-node losses alone have to show, if the two parts do not interact?",
        {
            "a": "2.8 AP over AE",
            "b": "0.8 AP over AE",
            "c": "any gain over AE",
        },
        "b",
        {
            "a": "That is what both bring together.",
            "b": "Then the losses bring the same with the edge loss as without it. (#3 has the final one only.)",
            "c": "A gain of another size would be an interaction, one of the same size would not.",
        },
    ),
)
