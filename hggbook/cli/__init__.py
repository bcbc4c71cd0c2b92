"""``hggbook``: the command line. Each command is thin; the work is in the library.

One module per family of commands; each has ``add(commands)``, which declares its commands and their arguments. Commands
import what they need when they run: `hggbook --help` should not wait for torch.
"""

import argparse
import sys
from collections.abc import Sequence

from hggbook import __version__
from hggbook.cli import book, data, evaluate, freeze, group, predict, simulate, study, train


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; 0 if it did what was asked, 1 if something was found wrong, 2 for a bad argument or input."""
    parsed = _parser().parse_args(arguments)
    try:
        return parsed.run(parsed) or 0
    except (ValueError, OSError, RuntimeError) as error:
        print(f"hggbook {parsed.command}: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hggbook", description="Differentiable hierarchical graph grouping: library and workbook."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for family in (book, data, train, evaluate, predict, group, simulate, freeze, study):
        family.add(commands)
    return parser
