"""In a real browser: the bound pages without a network, and notebook 05 live in JupyterLab, both by keyboard."""

import os
import shutil
import sys

import pytest

from hggbook import paths

from .browser import CHROMIUM, chromium, jupyterlab

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on this machine"),
]

# The frame of the first stepper of a page that is to be seen, by its alt text.
SEEN = """[...document.querySelector('.hgg-frames').querySelectorAll(':scope > ol > li')]
    .filter((item) => item.offsetParent !== null).map((item) => item.querySelector('img').alt)"""
LIVE = "document.querySelector('.jp-OutputArea .widget-html img')"


def test_the_bound_page_steps_by_keyboard_and_complains_of_nothing(smoke_book, tmp_path):
    with chromium(tmp_path) as page:
        page.open((smoke_book.folder / "05_graclus.html").as_uri())
        (first,) = page.run(SEEN)
        page.run("document.querySelector('.hgg-frames input[type=range]').focus()")
        page.press("ArrowRight")
        (second,) = page.run(SEEN)
        assert first != second
        page.press("ArrowLeft")
        assert page.run(SEEN) == [first]
        assert page.run("[...document.images].filter((image) => !image.complete || !image.naturalWidth).length") == 0
        assert page.run("document.documentElement.scrollWidth <= window.innerWidth")  # nothing is cut off at the right
        page.open((smoke_book.folder / "04_edgeconv.html").as_uri())
        assert page.run("[...document.querySelectorAll('math')].every((formula) => formula.clientWidth > 0)")
        assert page.errors == []


def test_the_figures_of_a_page_are_shown_as_slides(smoke_book, tmp_path):
    with chromium(tmp_path) as page:
        page.open((smoke_book.folder / "05_graclus.html").as_uri())
        number = page.run("document.querySelectorAll('main figure').length")
        page.run("document.querySelector('.slides-open').click()")
        shown = "document.querySelector('.slides img').alt"
        first = page.run(shown)
        for _ in range(number):
            page.press("ArrowRight")
        assert page.run("document.querySelector('.slides output').textContent") == f"{number} of {number}"
        assert page.run(shown) != first
        assert page.run("document.querySelector('.slides img').getBoundingClientRect().bottom <= window.innerHeight")
        page.press("Escape")
        assert page.run("!document.querySelector('.slides').open")
        assert page.errors == []


def test_the_search_page_finds_a_section_and_leads_there(smoke_book, tmp_path):
    with chromium(tmp_path) as page:
        page.open((smoke_book.folder / "search.html").as_uri() + "?q=visiting+order")
        assert page.run("document.querySelectorAll('#found li').length") > 0
        page.open(page.run("document.querySelector('#found a').href"))
        assert page.run("document.getElementById(decodeURIComponent(location.hash.slice(1))) !== null")
        assert page.errors == []


def test_the_stepper_of_notebook_05_moves_by_keyboard_in_jupyterlab(tmp_path):
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    shutil.copy(paths.notebooks_folder() / "05_graclus.ipynb", notebooks)
    environment = dict(os.environ) | {
        paths.HOME_VARIABLE: str(paths.project_root()),
        paths.RUN_VARIABLE: str(tmp_path / "run"),
        "OMP_NUM_THREADS": "1",
    }
    with jupyterlab(sys.executable, notebooks, environment) as address, chromium(tmp_path) as page:
        page.open(f"{address}/tree/05_graclus.ipynb")
        page.wait("window.jupyterapp && document.querySelector('.jp-Notebook .jp-Cell')")
        page.run("window.panel = [...jupyterapp.shell.widgets('main')][0]; jupyterapp.shell.activateById(panel.id)")
        page.wait("panel.sessionContext.session?.kernel?.status === 'idle'", 120)
        page.run("void jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait(LIVE, 180)
        seen = f"{LIVE}.alt"
        first = page.run(seen)
        page.run("document.querySelector('.jp-OutputArea .noUi-handle').focus()")
        page.press("ArrowRight")
        page.wait(f"{seen} !== {first!r}", 20)
        page.press("ArrowLeft")
        page.wait(f"{seen} === {first!r}", 20)
