"""Exercises that say whether an answer is right, and quiz questions: plain data, one module a notebook.

``nb05.py`` holds the questions of notebook 05 as ``EXERCISES`` and ``QUESTIONS``; the solutions and the wrong answers
that must be rejected lie apart, in `hggbook.workbook.solutions`. An answer is judged by what it does on random inputs,
never by comparing text.
"""

import html
import importlib
import importlib.util
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from IPython.display import display

VERDICT_MIME = "application/vnd.hggbook.verdict+json"


class NotAnswered(Exception):
    """The answer is still the empty form: ``None``, ``...``, or a function that returns one of them."""


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        id: notebook number and exercise, e.g. ``05.e1``.
        question: one sentence; the notebook tells the rest.
        checker: ``checker(answer)`` returns None if the answer is right, else one sentence with a counterexample. It
            may raise anything: whatever an answer does wrong is a wrong answer.
        hints: from a nudge to nearly the solution; each failed try shows one more.
    """

    id: str
    question: str
    checker: Callable[[Any], str | None]
    hints: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """One quiz question with several choices, of which one is right.

    Attributes:
        id: notebook number and question, e.g. ``05.q1``.
        question: the text.
        choices: letter -> text.
        right: letter of the right choice.
        why: letter -> one sentence that says why the choice is right or wrong; every letter has one.
    """

    id: str
    question: str
    choices: Mapping[str, str]
    right: str
    why: Mapping[str, str]

    def __post_init__(self):
        if self.right not in self.choices or set(self.why) != set(self.choices):
            raise ValueError(f"question {self.id}: expected a reason for every choice and a right one among them")


@dataclass(frozen=True)
class Verdict:
    """What was found of an answer: ``state`` is ``passed``, ``failed`` or ``unanswered``."""

    id: str
    state: str
    message: str


def call(function: Any, *arguments: Any) -> Any:
    """Call a reader's function and return its result.

    Raises:
        NotAnswered: the function, or what it returns, is still empty.
        ValueError: it is no function, or it raised; the arguments are named.

    Not in the paper: it is the workbook's own machinery.
    """
    if function is None or function is ...:
        raise NotAnswered
    if not callable(function):
        raise ValueError(f"expected a function, got {type(function).__name__}")
    try:
        result = function(*arguments)
    except Exception as error:
        given = ", ".join(_short(argument) for argument in arguments)
        raise ValueError(f"it raised {type(error).__name__}: {error} (called with {given})") from error
    if result is None or result is ...:
        raise NotAnswered
    return result


def judge_letters(answer: Any, reasons: Mapping[str, str], right: Collection[str], wrong: str, more: str) -> str | None:
    """What is wrong with a set of letters that an exercise asks for; None if nothing is.

    Args:
        answer: the reader's.
        reasons: letter -> why it belongs or does not; its letters are those that may be named.
        right: the letters that belong.
        wrong: says of a letter that it does not belong, e.g. ``does not leak``; its reason follows.
        more: says that letters are missing, with ``{number}`` in the place of how many.

    Not in the paper: it is the workbook's own machinery.
    """
    if callable(answer) or not isinstance(answer, str | list | tuple | set | frozenset):
        return f"expected letters, such as {{'a', 'b'}}, got {answer!r}"
    named = {str(letter).strip().lower() for letter in answer}
    if unknown := sorted(named - set(reasons)):
        return f"expected letters from {min(reasons)} to {max(reasons)}, got {', '.join(map(repr, unknown))}"
    if strange := sorted(named - set(right)):
        return f"{strange[0]} {wrong}: {reasons[strange[0]]}"
    if missing := set(right) - named:
        return more.format(number=len(missing))
    return None


def _short(value: Any) -> str:
    text = repr(value.tolist() if hasattr(value, "tolist") else value)
    return text if len(text) <= 120 else text[:117] + "..."


def load(notebook: str) -> dict[str, Exercise | Question]:
    """Exercises and questions of one notebook by id; empty if it has none.

    Args:
        notebook: number, or number and name, e.g. ``05_graclus``.

    Raises:
        ValueError: an id is used twice or does not start with the notebook's number.

    Not in the paper: it is the workbook's own machinery.
    """
    number = notebook[:2]
    name = f"{__name__}.nb{number}"
    if importlib.util.find_spec(name) is None:
        return {}
    module = importlib.import_module(name)
    found: dict[str, Exercise | Question] = {}
    for item in (*module.EXERCISES, *module.QUESTIONS):
        if item.id in found or not item.id.startswith(f"{number}."):
            raise ValueError(f"{name}: expected ids that start with {number}. and differ, got {item.id!r}")
        found[item.id] = item
    return found


def judge(item: Exercise | Question, answer: Any) -> Verdict:
    """Judge one answer. Never raises for what an answer does.

    Not in the paper: it is the workbook's own machinery.
    """
    if answer is None or answer is ...:
        return Verdict(item.id, "unanswered", "not answered yet")
    if isinstance(item, Question):
        letter = str(answer).strip().lower()
        if letter not in item.choices:
            return Verdict(item.id, "failed", f"expected one of {', '.join(item.choices)}, got {answer!r}")
        return Verdict(item.id, "passed" if letter == item.right else "failed", item.why[letter])
    try:
        problem = item.checker(answer)
    except NotAnswered:
        return Verdict(item.id, "unanswered", "not answered yet")
    except Exception as error:
        return Verdict(item.id, "failed", f"could not be checked: {type(error).__name__}: {error}")
    return Verdict(item.id, "passed", "right") if problem is None else Verdict(item.id, "failed", problem)


class Checker:
    """Judges the answers of one notebook, remembers them, and shows one more hint after each failed try.

    Not in the paper: it is the workbook's own machinery.
    """

    def __init__(self, items: Mapping[str, Exercise | Question]):
        self._items = items
        self._tries: dict[str, int] = {}
        self._outcome: dict[str, str] = {}

    def _find(self, name: str) -> Exercise | Question:
        if name not in self._items:
            known = ", ".join(self._items) or "none in this notebook"
            raise ValueError(f"exercise: expected one of {known}, got {name!r}")
        return self._items[name]

    def check(self, name: str, answer: Any) -> None:
        """Show whether ``answer`` is right.

        Raises:
            ValueError: no such exercise (a mistake of the notebook's author, not of the reader).
        """
        item = self._find(name)
        verdict = judge(item, answer)
        self._outcome[name] = verdict.state
        hint = ""
        if verdict.state == "failed":
            self._tries[name] = self._tries.get(name, 0) + 1
            hints = item.hints if isinstance(item, Exercise) else ()
            level = min(self._tries[name], len(hints))
            hint = f"Hint {level} of {len(hints)}: {hints[level - 1]}" if level else ""
        _show_verdict(verdict, hint)

    def quiz(self, name: str) -> None:
        """Show a question and its choices.

        Raises:
            ValueError: no such question.
        """
        item = self._find(name)
        if not isinstance(item, Question):
            raise ValueError(f"quiz: expected a question, and {name} is an exercise")
        rows = "".join(f"<li><b>{key}</b> {html.escape(text)}</li>" for key, text in item.choices.items())
        text = f"{item.id} {item.question} " + " ".join(f"({key}) {value}" for key, value in item.choices.items())
        markup = (
            f'<div class="hgg-quiz" style="border-left:4px solid #0072B2;padding:.2em 1em">'
            f"<p><b>{item.id}</b> {html.escape(item.question)}</p>"
            f'<ul style="list-style:none;padding-left:0">{rows}</ul></div>'
        )
        display({"text/html": markup, "text/plain": text}, raw=True)

    def outcome(self) -> dict[str, str]:
        """State of every exercise and question of the notebook, ``unanswered`` where `check` never saw it."""
        return {name: self._outcome.get(name, "unanswered") for name in self._items}


def _show_verdict(verdict: Verdict, hint: str) -> None:
    colour, sign, word = {
        "passed": ("#007a5a", "✓", "passed"),
        "failed": ("#b3261e", "✗", "not yet"),
        "unanswered": ("#767676", "○", "open"),
    }[verdict.state]
    extra = f"<br><i>{html.escape(hint)}</i>" if hint else ""
    markup = (
        f'<div class="hgg-verdict hgg-{verdict.state}" role="status" '
        f'style="border-left:4px solid {colour};padding:.3em 1em">'
        f"<b>{sign} {verdict.id} {word}</b> {html.escape(verdict.message)}{extra}</div>"
    )
    text = f"{sign} {verdict.id} {word}: {verdict.message}" + (f" ({hint})" if hint else "")
    record = {"id": verdict.id, "state": verdict.state, "message": verdict.message}
    display({"text/html": markup, "text/plain": text, VERDICT_MIME: record}, raw=True)
