"""Exercises and questions of notebook 13, reproduction report."""

import itertools
from typing import Any

import torch

from hggbook.workbook.exercises import Exercise, Question, call, judge_letters
from hggbook.workbook.solutions import nb13 as solutions

TRIALS = 200
OUTCOMES = ("holds", "against", "open")
REASONS = {
    "a": "the interval lies above zero, three seeds, the cut chosen elsewhere: just what the sentence says",
    "b": "the interval is four points wide: these runs cannot tell +2 from -1.9; no effect was not shown",
    "c": "on rendered scenes nobody measured what it is worth on COCO; that the numbers are alike is chance",
    "d": "the whole interval lies within the margin: a real effect could only be smaller than that",
    "e": "the two intervals overlap, and the difference of Y and Z was never taken on the same images and seeds",
    "f": "the sentence names the condition, and the count is of that",
}


def check_outcome(answer: Any) -> str | None:
    """Exercise 13.e1: the outcome of a test."""
    for seed in range(TRIALS):
        generator = torch.Generator().manual_seed(seed)
        low, high = sorted((4 * torch.rand(2, generator=generator, dtype=torch.float64) - 2).round(decimals=2).tolist())
        nothing = (0.0, 0.3, 1.0, 1.9)[seed % 4]
        if seed % 10 == 0:
            low = 0.0 if high > 0 else low  # touches zero
        found, expected = call(answer, low, high, nothing), solutions.outcome(low, high, nothing)
        if found != expected:
            return f"interval [{low:+.2f}, {high:+.2f}], nothing = {nothing}: expected {expected!r}, got {found!r}"
    return None


def check_verdict(answer: Any) -> str | None:
    """Exercise 13.e2: the verdict from outcomes."""
    for size in (1, 2, 3):
        for outcomes in itertools.product(OUTCOMES, repeat=size):
            for about_method in (True, False):
                found = call(answer, list(outcomes), about_method)
                expected = solutions.verdict_of(list(outcomes), about_method)
                if found != expected:
                    kind = "about the method" if about_method else "about the paper's data"
                    return f"outcomes {list(outcomes)}, {kind}: expected {expected!r}, got {found!r}"
    return None


def check_unsupported(answer: Any) -> str | None:
    """Exercise 13.e3: sentences that their evidence does not bear out."""
    more = "what you named is not supported, and {number} more: ask of each what was measured, and where"
    return judge_letters(answer, REASONS, solutions.UNSUPPORTED, "is supported", more)


EXERCISES = (
    Exercise(
        "13.e1",
        'Write outcome(low, high, nothing): "holds", "against" or "open".',
        check_outcome,
        (
            "Ask first whether the whole interval lies above zero. Then whether it lies below.",
            "An interval around zero is against the claim if both its ends are nearer to zero than nothing.",
            "low > 0: holds. high < 0, or low > -nothing and high < nothing: against. Else open.",
        ),
    ),
    Exercise(
        "13.e2",
        "Write verdict_of(outcomes, about_method): the verdict of one reading.",
        check_verdict,
        (
            "All hold: then it depends on whether the claim is about the method or about data that we do not have.",
            "Contradicted needs two things: a test against the claim, and none that holds.",
            "Else unsettled: that is where tests disagree, and where any is open without one against.",
        ),
    ),
    Exercise(
        "13.e3",
        "Which sentences does the evidence not support? Answer with a set of letters.",
        check_unsupported,
        (
            "Hold each sentence against its brackets only, not against what you believe.",
            "What is the difference between 'no effect was found' and 'there is none larger than the margin'?",
            "Three of the six. One generalises to data that were not seen, one takes wide for zero, one compares "
            "two things that were never compared.",
        ),
    ),
)

QUESTIONS = (
    Question(
        "13.q1",
        "Why can the claim 'HGG is worth 2.8 AP over AE on COCO' get 'direction only' at best in this report?",
        {
            "a": "Because three seeds are too few for more.",
            "b": "Because the number is about COCO and a large detector, and neither was run.",
            "c": "Because our difference is larger than the paper's.",
        },
        "b",
        {
            "a": "More seeds narrow the interval; they do not change what was measured.",
            "b": "Other data can show that the method does what is claimed; its worth on COCO, only COCO can.",
            "c": "Whether larger or smaller, it is a number about something else.",
        },
    ),
    Question(
        "13.q2",
        "A test comes out 'against' because its interval lies within the margin. What has been shown?",
        {
            "a": "That the part does harm.",
            "b": "Nothing: the interval holds zero.",
            "c": "That an effect, if there is one here, is too small to speak of.",
        },
        "c",
        {
            "a": "For that the interval would have to lie below zero.",
            "b": "A narrow interval around zero says a great deal: it excludes everything outside.",
            "c": "The margin was fixed before; that is what makes this more than an opinion.",
        },
    ),
    Question(
        "13.q3",
        "Two readings of one paper get different verdicts for the same claim. Which of the two is the paper's method?",
        {
            "a": "The one that agrees with the paper's numbers.",
            "b": "Nobody can tell without the authors' code; so both stand in the report.",
            "c": "The literal one, because it uses only the paper's words.",
        },
        "b",
        {
            "a": "That would be choosing the reading by the result.",
            "b": "The claim is then one about a configuration, and the report should say about which.",
            "c": "Words leave gaps, and the literal reading fills them too: with the least that they allow.",
        },
    ),
)
