"""``hggbook doctor | book``: the workbook and the machine it runs on."""

import argparse
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


def _doctor(args: argparse.Namespace) -> int:
    from hggbook import doctor

    return doctor.main()


def _book(args: argparse.Namespace) -> int:
    from hggbook.workbook.runner import run_book

    book = run_book(args.profile, args.notebooks or None, args.out, seed=args.seed, data_root=args.data_root)
    print(f"{'done' if book.passed else 'FAILED'}: open {book.index}")
    return 0 if book.passed else 1
