"""Every exercise accepts its solution and rejects its wrong answers; judging never raises; hints rise with tries."""

import ast
import sys
from types import FunctionType

import pytest

from hggbook import paths
from hggbook.workbook import exercises, solutions
from hggbook.workbook.exercises import Checker, Exercise, Question, call, judge

NUMBERS = [f"{number:02d}" for number in range(14)]
ITEMS = {name: item for number in NUMBERS for name, item in exercises.load(number).items()}
SOLUTIONS = {name: item for number in NUMBERS for name, item in solutions.load(number).items()}
EXERCISES = [name for name, item in ITEMS.items() if isinstance(item, Exercise)]
QUESTIONS = [name for name, item in ITEMS.items() if isinstance(item, Question)]
WRONG = [(name, mistake) for name, item in SOLUTIONS.items() for mistake in item.wrong]


def test_every_exercise_has_a_solution_and_every_solution_an_exercise():
    assert set(SOLUTIONS) == set(EXERCISES)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes(name):
    verdict = judge(ITEMS[name], SOLUTIONS[name].answer)
    assert verdict.state == "passed", verdict.message


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_as_it_is_shown_is_whole_and_passes(name):
    answer = SOLUTIONS[name].answer
    shown = solutions.text(answer)
    if not isinstance(answer, FunctionType):
        assert ast.literal_eval(shown) == answer
        return
    module = sys.modules[answer.__module__]
    imported = {
        key: value
        for key, value in vars(module).items()
        if not ((isinstance(value, FunctionType) and value.__module__ == module.__name__) or key.isupper())
    }
    exec(shown, imported)
    assert judge(ITEMS[name], imported[answer.__name__]).state == "passed"


@pytest.mark.parametrize(("name", "mistake"), WRONG)
def test_a_wrong_answer_fails_with_a_counterexample(name, mistake):
    verdict = judge(ITEMS[name], SOLUTIONS[name].wrong[mistake])
    assert verdict.state == "failed"
    assert len(verdict.message) > 15


@pytest.mark.parametrize("name", EXERCISES)
def test_an_exercise_has_two_wrong_answers_and_two_hints(name):
    assert len(SOLUTIONS[name].wrong) >= 2
    assert len(ITEMS[name].hints) >= 2


@pytest.mark.parametrize("answer", [None, ...])
@pytest.mark.parametrize("name", [*EXERCISES, *QUESTIONS])
def test_the_empty_form_is_not_answered_yet(name, answer):
    assert judge(ITEMS[name], answer).state == "unanswered"


@pytest.mark.parametrize("answer", [3, "nonsense", [], lambda: 1, object(), [[1], [2], [3]]])
@pytest.mark.parametrize("name", EXERCISES)
def test_nonsense_fails_and_never_raises(name, answer):
    assert judge(ITEMS[name], answer).state == "failed"


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_has_one_right_choice_and_a_reason_for_each(name):
    item = ITEMS[name]
    states = {letter: judge(item, letter) for letter in item.choices}
    assert [letter for letter, verdict in states.items() if verdict.state == "passed"] == [item.right]
    assert len({verdict.message for verdict in states.values()}) == len(item.choices)
    assert judge(item, f" {item.right.upper()} ").state == "passed"
    assert judge(item, "z").state == "failed"


def test_a_function_that_is_still_empty_is_not_answered_yet():
    item = Exercise("00.e1", "?", lambda answer: None if call(answer, 1) == 2 else "no", ("one", "two"))
    assert judge(item, lambda x: None).state == "unanswered"
    assert judge(item, lambda x: ...).state == "unanswered"
    assert judge(item, lambda x: x + 1).state == "passed"
    assert judge(item, lambda x: 0).message == "no"


def test_an_answer_that_raises_is_told_what_it_was_called_with():
    item = Exercise("00.e1", "?", lambda answer: call(answer, [1, 2]), ("one", "two"))
    verdict = judge(item, lambda x: x["a"])
    assert verdict.state == "failed"
    assert "TypeError" in verdict.message
    assert "[1, 2]" in verdict.message


def test_each_failed_try_shows_one_more_hint_and_then_stays_at_the_last(displayed):
    checker = Checker({"00.e1": Exercise("00.e1", "?", lambda answer: "no", ("a nudge", "nearly all"))})
    for _ in range(3):
        checker.check("00.e1", 1)
    texts = [shown["text/plain"] for shown in displayed]
    assert ["a nudge" in text for text in texts] == [True, False, False]
    assert ["nearly all" in text for text in texts] == [False, True, True]


def test_an_unanswered_try_costs_no_hint(displayed):
    checker = Checker({"00.e1": Exercise("00.e1", "?", lambda answer: "no", ("a nudge", "nearly all"))})
    checker.check("00.e1", ...)
    checker.check("00.e1", 1)
    first, second = (shown["text/plain"] for shown in displayed)
    assert "Hint" not in first
    assert "a nudge" in second


def test_the_outcome_names_every_exercise_with_its_last_state(displayed):
    checker = Checker(exercises.load("05"))
    checker.check("05.q1", "a")
    checker.check("05.q1", "b")
    checker.check("05.e3", SOLUTIONS["05.e3"].wrong["a negative weight"])
    outcome = checker.outcome()
    assert set(outcome) == set(exercises.load("05"))
    assert (outcome["05.q1"], outcome["05.e3"], outcome["05.e1"]) == ("passed", "failed", "unanswered")


def test_what_a_verdict_shows_is_marked_up_and_escaped(displayed):
    checker = Checker({"00.e1": Exercise("00.e1", "?", lambda answer: "a < b & c", ("<hint>",))})
    checker.check("00.e1", 1)
    data = displayed[0]
    assert "a &lt; b &amp; c" in data["text/html"]
    assert "&lt;hint&gt;" in data["text/html"]
    assert 'role="status"' in data["text/html"]
    assert data[exercises.VERDICT_MIME] == {"id": "00.e1", "state": "failed", "message": "a < b & c"}


def test_a_question_is_shown_with_its_choices(displayed):
    Checker(exercises.load("05")).quiz("05.q1")
    for choice in exercises.load("05")["05.q1"].choices.values():
        assert choice in displayed[0]["text/html"]
        assert choice in displayed[0]["text/plain"]


def test_an_unknown_exercise_is_the_authors_mistake_and_raises():
    checker = Checker(exercises.load("05"))
    with pytest.raises(ValueError, match=r"expected one of 05\.e1.*got '05\.e9'"):
        checker.check("05.e9", 1)
    with pytest.raises(ValueError, match=r"05\.e1 is an exercise"):
        checker.quiz("05.e1")


def test_a_question_without_a_reason_for_each_choice_cannot_be_made():
    with pytest.raises(ValueError, match="a reason for every choice"):
        Question("00.q1", "?", {"a": "x", "b": "y"}, "a", {"a": "right"})


def test_notebooks_ask_every_exercise_and_question_they_have():
    for path in sorted(paths.notebooks_folder().glob("[0-9][0-9]_*.ipynb")):
        text = path.read_text(encoding="utf-8")
        for name in exercises.load(path.stem):
            assert f'\\"{name}\\"' in text, f"{path.name} never asks {name}"
