"""Binds executed notebooks into pages that need no network: formulas as MathML, pictures embedded, own style.

nbconvert's own pages load MathJax and require.js from the network and show nothing in place of a widget. Here its
parts do the work (Markdown with formulas, colours of code) and the page around them is ours.
"""

import html
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from latex2mathml.converter import convert as to_mathml
from nbconvert.filters.ansi import ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from hggbook import paths, widgets
from hggbook.workbook import exercises, results, solutions
from hggbook.workbook.search import Section, search_body, sections

ASSETS = Path(__file__).parent
HIDDEN_TAG = "hide-input"


@dataclass(frozen=True)
class Chapter:
    """One executed notebook of the book: file name without ending, title, run time, problems of the run."""

    name: str
    title: str
    seconds: float
    problems: tuple[str, ...]


class _Renderer(IPythonRenderer):
    """Markdown to HTML with formulas as MathML and links between notebooks as links between pages."""

    def __init__(self, pages: frozenset[str] | None, **options):
        super().__init__(**options)
        self._pages = pages

    def block_math(self, body: str) -> str:
        return _math(body, "block")

    def inline_math(self, body: str) -> str:
        return _math(body, "inline")

    def latex_environment(self, name: str, body: str) -> str:
        return _math(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")

    def link(self, text: str, url: str, title: str | None = None) -> str:
        notebook = re.match(r"(\d\d_\w+)\.ipynb", url)
        if notebook and self._pages is not None and notebook[1] not in self._pages:
            return f'<span title="not part of this run">{text}</span>'
        return super().link(text, f"{notebook[1]}.html{url[notebook.end() :]}" if notebook else url, title)

    def _html_embed_images(self, html: str) -> str:
        # nbconvert parses the fragment anew, which closes a <details> that a later fragment is to close
        def embed(found: re.Match) -> str:
            return f"{found[1]}{self._src_to_base64(found[2]) or found[2]}{found[3]}"

        return re.sub(r"(<img\b[^>]*?\bsrc=[\"'])([^\"']+)([\"'])", embed, html)

    def _src_to_base64(self, src: str) -> str | None:
        # nbconvert embeds only what lies under notebooks/; the committed pictures lie beside it, in data/
        wanted = (Path(self.path) / src).resolve()
        if not wanted.is_relative_to(paths.project_root()):
            return None
        return IPythonRenderer(path=str(wanted.parent))._src_to_base64(wanted.name)


def _math(body: str, display: str) -> str:
    """MathML that keeps the TeX source as its text for readers who copy it."""
    markup = to_mathml(body.strip(), display=display)
    return markup.replace("<math ", f'<math data-tex="{html.escape(body.strip())}" ', 1)


def render_markdown(
    source: str, folder: Path, attachments: dict | None = None, pages: frozenset[str] | None = None
) -> str:
    """Markdown with ``$...$`` formulas as HTML that refers to nothing outside.

    Args:
        source: the text of a cell.
        folder: what relative paths of pictures start from.
        attachments: the cell's own pictures.
        pages: notebooks that are bound; a link to another one becomes plain text. None: all of them are.

    Not in the paper: it is the workbook's own machinery.
    """
    renderer = _Renderer(
        pages, escape=False, embed_images=True, path=str(folder), attachments=attachments, anchor_link_text="#"
    )
    return MarkdownWithMath(renderer=renderer).render(source)


def _code(source: str) -> str:
    markup = highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))
    return f'<pre class="code" tabindex="0" aria-label="code"><code>{markup}</code></pre>'


def _solution(name: str) -> str:
    """A folded solution of one exercise or question; nothing if it has none."""
    item = exercises.load(name).get(name)
    if isinstance(item, exercises.Question):
        body = f"<p><b>{item.right}</b> {html.escape(item.why[item.right])}</p>"
        return f'<details class="solution"><summary>answer to {name}</summary>{body}</details>'
    if solution := solutions.load(name).get(name):
        body = _code(solutions.text(solution.answer))
        return f'<details class="solution"><summary>a solution of {name}</summary>{body}</details>'
    return ""


def _output(output: NotebookNode) -> str:
    if output.output_type == "stream":
        kind = "stderr" if output.name == "stderr" else "stdout"
        return f'<pre class="{kind}" tabindex="0">{ansi2html(output.text)}</pre>'
    if output.output_type == "error":
        return f'<pre class="error" tabindex="0" aria-label="error">{ansi2html(chr(10).join(output.traceback))}</pre>'
    data = output.data  # a widget without a kernel shows nothing: its frames are in the same bundle as HTML
    if "text/html" in data:
        return f'<div class="rich">{data["text/html"]}</div>'
    if "text/markdown" in data:
        return render_markdown(data["text/markdown"], paths.notebooks_folder())
    return f'<pre class="stdout" tabindex="0">{ansi2html(data.get("text/plain", ""))}</pre>'


def _is_verdict(output: NotebookNode) -> bool:
    return exercises.VERDICT_MIME in output.get("data", {})


def render_notebook(
    notebook: NotebookNode, folder: Path, pages: frozenset[str] | None = None, *, with_solutions: bool = True
) -> str:
    """The cells of an executed notebook as HTML; ``folder`` and ``pages`` as for `render_markdown`.

    Args:
        with_solutions: a solution follows, folded, where an exercise was checked.

    Not in the paper: it is the workbook's own machinery.
    """
    parts = []
    every_tag = [cell.metadata.get("tags", []) for cell in notebook.cells]
    injected = any("injected-parameters" in tags for tags in every_tag)
    for cell, tags in zip(notebook.cells, every_tag):
        if injected and "parameters" in tags:
            continue  # the values that the run used follow in the next cell
        if "papermill-error-cell-tag" in tags:
            continue  # papermill's own banner: the page says above what failed
        if cell.cell_type == "markdown":
            text = render_markdown(cell.source, folder, cell.get("attachments"), pages)
            parts.append(f'<section class="text">{text}</section>')
        elif cell.cell_type == "code":
            source = _code(cell.source) if cell.source.strip() else ""
            if source and HIDDEN_TAG in tags:
                source = f"<details><summary>code of this cell</summary>{source}</details>"
            shown = "".join(_output(output) for output in cell.outputs)
            checked = [output.data[exercises.VERDICT_MIME]["id"] for output in cell.outputs if _is_verdict(output)]
            shown += "".join(map(_solution, dict.fromkeys(checked))) if with_solutions else ""
            parts.append(f'<section class="cell">{source}<div class="outputs">{shown}</div></section>')
    return "\n".join(parts)


def page(title: str, body: str, navigation: str) -> str:
    """A whole page: language, skip link, landmarks, style and script inside. Not in the paper: workbook machinery."""
    where = [".code", ".highlight"]
    light, dark = (HtmlFormatter(style=name).get_style_defs(where) for name in ("tango", "github-dark"))
    own = (ASSETS / "book.css").read_text(encoding="utf-8")
    style = f"{own}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}\n</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#main">Skip to the text</a>\n<header>{navigation}</header>\n'
        f'<main id="main">\n{body}\n</main>\n<footer>{navigation}</footer>\n'
        f"<script>\n{(ASSETS / 'book.js').read_text(encoding='utf-8')}\n</script>\n</body>\n</html>\n"
    )


def _plain(title: str) -> str:
    return BeautifulSoup(render_markdown(title, paths.notebooks_folder()), "html.parser").get_text().strip()


def _navigation(chapters: Sequence[Chapter], at: int | None) -> str:
    field = '<input name="q" type="search" placeholder="Search" aria-label="Search the book">'
    links = ['<a href="index.html">Contents</a>', f'<form role="search" action="search.html">{field}</form>']
    if at is not None and at > 0:
        before = chapters[at - 1]
        links.insert(0, f'<a rel="prev" href="{before.name}.html">← {html.escape(_plain(before.title))}</a>')
    if at is not None and at + 1 < len(chapters):
        after = chapters[at + 1]
        links.append(f'<a rel="next" href="{after.name}.html">{html.escape(_plain(after.title))} →</a>')
    return f'<nav aria-label="chapters">{" ".join(links)}</nav>'


def _problems(problems: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(text)}</li>" for text in problems)
    return f'<div class="failed" role="alert"><p>This notebook failed:</p><ul>{items}</ul></div>' if problems else ""


def result_tables(recorded: Sequence[results.Results]) -> str:
    """The recorded numbers as tables: names that share the part before ``/`` form one; others one table a notebook.

    Not in the paper: it is the workbook's own machinery.
    """
    groups: dict[str, list[list]] = {}
    for one in recorded:
        for record in one.records:
            if isinstance(record.value, list | dict):
                continue
            table, _, row = record.name.rpartition("/")
            note = ", ".join(f"{key} {value}" for key, value in record.meta.items())
            groups.setdefault(table or one.notebook, []).append([row, record.value, note, one.number])
    return "".join(
        widgets.table_html(["what", "value", "how", "notebook"], rows, f"{name} (profile {recorded[0].profile})")
        for name, rows in groups.items()
    )


def index_page(profile: str, chapters: Sequence[Chapter], recorded: Sequence[results.Results]) -> str:
    """The first page: the notebooks with state, run time and links, and what they recorded.

    Not in the paper: it is the workbook's own machinery.
    """
    rows = "".join(
        f'<tr><td><a href="{c.name}.html">{html.escape(_plain(c.title))}</a></td>'
        f'<td class="{"bad" if c.problems else "good"}">{"✗ failed" if c.problems else "✓ passed"}</td>'
        f'<td class="number">{c.seconds:.1f} s</td>'
        f'<td><a href="notebooks/{c.name}.ipynb">executed notebook</a></td></tr>'
        for c in chapters
    )
    passed = sum(not c.problems for c in chapters)
    seconds = sum(c.seconds for c in chapters)
    body = [
        "<h1>Hierarchical graph grouping, a workbook</h1>",
        "<p>Differentiable Hierarchical Graph Grouping for Multi-Person Pose Estimation (ECCV 2020), taught and "
        "reproduced: every page is a notebook as it ran on this machine.</p>",
        f"<p><b>{passed} of {len(chapters)}</b> notebooks passed in {seconds:.0f} s, profile <b>{profile}</b>.</p>",
        '<table class="hgg-table"><caption>Notebooks</caption><thead><tr><th scope="col">notebook</th>'
        '<th scope="col">state</th><th scope="col">time</th><th scope="col">file</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>",
    ]
    if tables := result_tables(recorded):
        body.append(f"<h2>Recorded results</h2>{tables}")
    if recorded:
        source = recorded[-1].provenance
        versions = ", ".join(f"{name} {version}" for name, version in source.get("versions", {}).items())
        body.append(
            f"<h2>How these numbers were made</h2>"
            f"<p>Seed {recorded[-1].seed}; device {html.escape(str(source.get('device')))}; "
            f"commit <code>{html.escape(str(source.get('commit')))}</code>; {html.escape(versions)}.</p>"
        )
    return page("hggbook", "\n".join(body), _navigation(chapters, None))


def bind(folder: Path, profile: str, chapters: Sequence[Chapter], *, with_solutions: bool = True) -> Path:
    """Write a page a chapter, ``search.html`` and ``index.html`` from ``folder/notebooks`` and ``folder/results``.

    Each page is written whole or not at all. ``with_solutions`` as for `render_notebook`.

    Returns:
        The index.

    Not in the paper: it is the workbook's own machinery.
    """
    listed = frozenset(chapter.name for chapter in chapters)
    searched: list[Section] = []
    for at, chapter in enumerate(chapters):
        notebook = nbformat.read(folder / "notebooks" / f"{chapter.name}.ipynb", as_version=4)
        cells = render_notebook(notebook, paths.notebooks_folder(), listed, with_solutions=with_solutions)
        body = _problems(chapter.problems) + cells
        title, place = _plain(chapter.title), folder / f"{chapter.name}.html"
        results.write_text(place, page(title, body, _navigation(chapters, at)))
        searched += sections(place.name, title, cells)
    found = search_body(searched, (ASSETS / "search.js").read_text(encoding="utf-8"))
    results.write_text(folder / "search.html", page("Search", found, _navigation(chapters, None)))
    recorded = [one for one in results.load_all(folder / "results") if one.notebook in listed]
    index = folder / "index.html"
    results.write_text(index, index_page(profile, chapters, recorded))
    return index


def page_problems(path: Path) -> list[str]:
    """What is wrong with a page: anything loaded from the network, pictures without alt text, dead links, raw formulas.

    Not in the paper: it is the workbook's own machinery.
    """
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    problems = []
    for element in soup.find_all(["script", "link", "img", "iframe", "source", "video", "audio", "embed", "object"]):
        source = str(element.get("src") or element.get("href") or element.get("data") or "")
        if source and not source.startswith("data:"):
            problems.append(f"<{element.name}> loads {source[:80]}")
        if element.name == "img" and not (element.get("alt") or "").strip():
            problems.append("a picture without alt text")
    for style in soup.find_all("style"):
        if re.search(r"@import|url\(\s*['\"]?(https?:)?//", style.get_text()):
            problems.append("a style sheet loads something")
    known = {element.get("id") for element in soup.find_all(id=True)}
    for link in soup.find_all("a", href=True):
        target, _, anchor = link["href"].partition("#")
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        if target and not os.path.exists(path.parent / target):
            problems.append(f"dead link to {target}")
        if not target and anchor and anchor not in known:
            problems.append(f"dead link to #{anchor}")
    for element in soup.find_all(["pre", "code", "script", "style", "math"]):
        element.decompose()
    problems += [f"a formula was left as {found}" for found in re.findall(r"\$[^$\n]{1,80}\$", soup.get_text())]
    return problems
