"""What commands share: how one is declared, and which device it computes on."""

import argparse
from collections.abc import Callable


def command(commands, name: str, run: Callable[[argparse.Namespace], int | None], text: str) -> argparse.ArgumentParser:
    """Declares a command whose help is ``text``; ``run`` gives its exit status, None for 0."""
    sub = commands.add_parser(name, help=text, description=text)
    sub.set_defaults(run=run)
    return sub


def add_machine(sub: argparse.ArgumentParser) -> None:
    """``--device`` and ``--threads``, for a command that computes; `machine` reads them."""
    sub.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is a GPU")
    sub.add_argument("--threads", type=int, help="CPU threads")


def machine(args: argparse.Namespace) -> str:
    """The device to compute on; sets the number of CPU threads."""
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    return args.device or ("cuda" if torch.cuda.is_available() else "cpu")
