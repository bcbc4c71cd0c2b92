"""Builds small notebooks for the tests, in the form that the contract asks for."""

from pathlib import Path

from nbformat import v4, write

PARAMETERS = 'profile = "smoke"\nseed = 0\ndata_root = None'


def text(name: str, source: str):
    cell = v4.new_markdown_cell(source)
    cell.id = name
    return cell


def code(name: str, source: str, *tags: str):
    cell = v4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {})
    cell.id = name
    return cell


def notebook(folder: Path, name: str, *cells, title: str = "A notebook", finish: bool = True) -> Path:
    """Write ``folder/name.ipynb``: title, parameters, set-up, the cells given, the end."""
    setup = f'from hggbook.workbook.notebook import setup\n\nctx = setup("{name}", profile, seed, data_root)'
    every = [
        text("title", f"# {title}"),
        code("parameters", PARAMETERS, "parameters"),
        code("setup", setup),
        *cells,
        *([code("finish", "ctx.finish()")] if finish else []),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / f"{name}.ipynb"
    folder.mkdir(parents=True, exist_ok=True)
    write(v4.new_notebook(cells=every, metadata={"kernelspec": kernel}), path)
    return path
