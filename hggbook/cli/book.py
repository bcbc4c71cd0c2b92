"""``hggbook doctor | book | grade``: the workbook and the machine it runs on."""

import argparse
import json
import sys
from pathlib import Path

from hggbook.cli.common import command


def add(commands) -> None:
    """Declares this family's commands."""
    command(commands, "doctor", _doctor, "Say what is installed and found, what is wrong, and how to mend it.")

    book = command(commands, "book", _book, "Execute the notebooks and bind them as pages with an index.")
    book.add_argument("notebooks", nargs="*", help="numbers or names; default: all")
    book.add_argument("--profile", default="smoke", help="smoke (minutes), cpu (an hour) or full (GPU, COCO)")
    book.add_argument("--seed", type=int, default=0)
    book.add_argument("--out", type=Path, help="folder of the run; default runs/PROFILE")
    book.add_argument("--data-root", help="folder of the real data sets; default: HGGBOOK_DATA")
    book.add_argument("--no-solutions", action="store_true", help="pages without the exercises' solutions")

    grade = command(commands, "grade", _grade, "Say which exercises executed notebooks pass, e.g. a student's.")
    grade.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK", help="executed notebooks, under any name")
    grade.add_argument("--run", dest="anew", action="store_true", help="execute a copy of each anew first")
    grade.add_argument("--json", type=Path, metavar="FILE", help="also write the report as JSON")


def _doctor(args: argparse.Namespace) -> int:
    from hggbook import doctor

    return doctor.main()


def _book(args: argparse.Namespace) -> int:
    from hggbook.workbook.runner import run_book

    book = run_book(
        args.profile, args.notebooks or None, args.out, seed=args.seed, data_root=args.data_root,
        with_solutions=not args.no_solutions,
    )  # fmt: skip
    print(f"{'done' if book.passed else 'FAILED'}: open {book.index}")
    return 0 if book.passed else 1


def _grade(args: argparse.Namespace) -> int:
    from hggbook.workbook import grade, results

    grades, refused = [], 0
    for path in args.notebooks:
        try:
            grades.append(grade.grade(path, run=args.anew))
        except ValueError as error:
            refused += 1
            print(error, file=sys.stderr)
        else:
            print(grades[-1].text(), end="\n\n")
    if args.json:
        results.write_text(args.json, json.dumps([one.to_dict() for one in grades], indent=1) + "\n")
    return 2 if refused else 0
