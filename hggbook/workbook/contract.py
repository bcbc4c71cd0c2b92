"""What every notebook promises: as a source file, and after it was executed. Each function lists what is wrong."""

import re
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from nbconvert.filters.ansi import strip_ansi
from nbformat import NotebookNode

PARAMETERS = ("profile", "seed", "data_root")
# `Output` and `interact` stall under papermill; `plt.show` shows a picture without alt text; papermill fails a cell
# tagged raises-exception all the same
FORBIDDEN = {
    r"\bwidgets\.Output\b|\bipywidgets\.Output\b": "widgets.Output stalls under papermill: assign .value instead",
    r"\binteract(ive|ive_output)?\s*\(|\binteract\b": "interact stalls under papermill: use ctx.explorer",
    r"\bplt\.show\s*\(": "plt.show shows a picture without alt text: use ctx.show",
    r"%matplotlib|tqdm\.notebook": "magics and notebook progress bars do not belong in the book",
}
METADATA = ("kernelspec", "language_info")


def read(path: Path) -> NotebookNode:
    """Read a notebook.

    Raises:
        ValueError: no notebook; the file is named.

    Not in the paper: it is the workbook's own machinery.
    """
    try:
        return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    # nbformat looks before it checks: on JSON that is no notebook it fails with AttributeError or KeyError
    except (OSError, ValueError, AttributeError, KeyError, nbformat.ValidationError) as error:
        raise ValueError(f"{path}: expected a notebook, got {type(error).__name__}: {error}") from None


def title(notebook: NotebookNode) -> str:
    """The first heading; empty if there is none. Not in the paper: it is the workbook's own machinery."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := re.search(r"^#\s+(.+)$", cell.source, re.MULTILINE)):
            return found[1].strip()
    return ""


def source_problems(path: Path) -> list[str]:
    """What is wrong with a notebook as it lies in git: outputs, kernel, ids, parameters, forbidden calls, alt text.

    Not in the paper: it is the workbook's own machinery.
    """
    notebook = read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    problems = []
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        problems.append(f"format {notebook.nbformat}.{notebook.nbformat_minor} has no cell ids, expected 4.5")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        problems.append(f"kernel {notebook.metadata.get('kernelspec', {}).get('name')!r}, expected 'python3'")
    if extra := sorted(set(notebook.metadata) - set(METADATA)):
        problems.append(f"metadata {', '.join(extra)} left by a tool")
    if not title(notebook):
        problems.append("no title: expected a first heading '# ...'")
    problems += _id_problems(notebook)
    for cell in code:
        if cell.outputs or cell.execution_count is not None:
            problems.append(f"cell {cell.id}: outputs are not stripped")
    problems += _frame_problems(path, code)
    for cell in notebook.cells:
        problems += [f"cell {cell.id}: {text}" for text in _cell_problems(cell)]
        if cell.cell_type == "markdown":
            linked = re.findall(r"\]\((\w+\.ipynb)", cell.source)
            problems += [f"cell {cell.id}: dead link to {name}" for name in linked if not (path.parent / name).exists()]
    return problems


def _id_problems(notebook):
    ids = [cell.get("id", "") for cell in notebook.cells]
    wrong = sorted({name for name in ids if not re.fullmatch(r"[a-z][a-z0-9_-]*", name) or ids.count(name) > 1})
    # a tool that strips outputs may number the cells anew each time: names stay with their cell
    if not wrong:
        return []
    return [f"cell ids {', '.join(map(repr, wrong))}: expected different names such as 'pairs-by-hand'"]


def _frame_problems(path, code):
    if not code or "parameters" not in code[0].metadata.get("tags", []):
        return ["the first code cell is not tagged 'parameters'"]
    problems = []
    names = tuple(re.findall(r"^(\w+)\s*(?::[^=]+)?=", code[0].source, re.MULTILINE))
    if names != PARAMETERS:
        problems.append(f"parameters {', '.join(names)}: expected {', '.join(PARAMETERS)}")
    if len(code) < 2 or f'setup("{path.stem}", profile, seed, data_root)' not in code[1].source:
        problems.append(f'the second code cell does not call setup("{path.stem}", profile, seed, data_root)')
    if "ctx.finish()" not in code[-1].source:
        problems.append("the last code cell does not call ctx.finish()")
    return problems


def _cell_problems(cell):
    problems = []
    if "raises-exception" in cell.metadata.get("tags", []):
        problems.append("papermill fails a cell tagged raises-exception all the same")
    if cell.cell_type == "code":
        problems += [why for pattern, why in FORBIDDEN.items() if re.search(pattern, cell.source)]
    if cell.cell_type == "markdown":
        if re.search(r"!\[\s*\]\(", cell.source):
            problems.append("a picture without alt text")
        if re.search(r"!\[[^\]]*\]\(\s*https?:", cell.source):
            problems.append("a picture from the network")
        problems += image_problems(cell.source)
    return problems


def image_problems(markup: str) -> list[str]:
    """Pictures in HTML that lack an alt text or come from the network.

    Not in the paper: it is the workbook's own machinery.
    """
    if "<img" not in markup:
        return []
    problems = []
    for image in BeautifulSoup(markup, "html.parser").find_all("img"):
        if not (image.get("alt") or "").strip():
            problems.append("a picture without alt text")
        if str(image.get("src", "")).startswith(("http:", "https:", "//")):
            problems.append("a picture from the network")
    return problems


def run_problems(notebook: NotebookNode, timeout: int | float) -> list[str]:
    """What is wrong with an executed notebook: errors, stderr, cells at the time-out, pictures without alt text.

    Args:
        notebook: as papermill left it.
        timeout: seconds a cell was given. papermill accepts a cell that stalled until then as if it had finished.

    Not in the paper: it is the workbook's own machinery.
    """
    problems = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        where = f"cell {cell.get('id', '?')}"
        duration = cell.metadata.get("papermill", {}).get("duration")
        if duration is not None and duration >= timeout:
            problems.append(f"{where}: reached the time-out of {timeout:g} s")
        for output in cell.outputs:
            problems += [f"{where}: {text}" for text in _output_problems(output)]
    return problems


def _output_problems(output):
    if output.output_type == "error":
        return [strip_ansi(f"{output.ename}: {output.evalue}").strip().removesuffix(":")]
    if output.output_type == "stream":
        return [f"wrote to stderr: {output.text.strip()[:300]}"] if output.name == "stderr" else []
    problems = image_problems("".join(output.data.get("text/html", "")))
    if any(mime.startswith("image/") for mime in output.data) and "text/html" not in output.data:
        problems.append("a bare picture has no alt text: use ctx.show")
    return problems
