"""Pages need no network: formulas as MathML, pictures embedded with alt text, no foreign script, no dead link."""

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat import v4

from hggbook import paths
from hggbook.workbook import exercises, results, site

from .build import code, notebook, text

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE = f'<figure><img src="data:image/png;base64,{PNG}" alt="one pixel"></figure>'


def soup(markup: str) -> BeautifulSoup:
    return BeautifulSoup(markup, "html.parser")


def markdown(source: str) -> BeautifulSoup:
    return soup(site.render_markdown(source, paths.notebooks_folder()))


@pytest.mark.parametrize(
    ("source", "display"),
    [
        (r"the edge $h_\Theta(x_i, x_j - x_i)$ here", "inline"),
        ("$$\nx_i' = \\max_{j} \\mathrm{ReLU}(\\theta x_j)\n$$", "block"),
        ("\\begin{align}a &= b \\\\ c &= d\\end{align}", "block"),
        ("| a |\n|---|\n| $L_1$ |", "inline"),
    ],
)
def test_formulas_become_mathml(source, display):
    found = markdown(source)
    assert [element["display"] for element in found.find_all("math")] == [display]
    assert "$" not in found.get_text()


def test_a_price_and_code_are_no_formulas():
    found = markdown("costs \\$5 and `$x$`\n\n```python\ny = '$z$'\n```")
    assert not found.find_all("math")
    assert "$5" in found.get_text()
    assert "$x$" in found.get_text()
    assert "$z$" in found.get_text()


def test_text_between_the_tags_of_details_stays_inside():
    found = markdown("<details><summary>Answer</summary>\n\nIt *halves*: $5$.\n\n</details>\n\nafter")
    assert "halves" in found.details.get_text()
    assert found.details.math is not None
    assert "after" not in found.details.get_text()


def test_links_between_notebooks_become_links_between_pages():
    found = markdown("[graphs](03_graph_construction.ipynb) [section](05_graclus.ipynb#ties) [paper](https://x.org/a)")
    links = [link["href"] for link in found.find_all("a")]
    assert links == ["03_graph_construction.html", "05_graclus.html#ties", "https://x.org/a"]


def test_a_link_to_a_notebook_that_was_not_run_is_plain_text():
    source = "see [graphs](03_graph_construction.ipynb) and [this](05_graclus.ipynb)"
    found = soup(site.render_markdown(source, paths.notebooks_folder(), pages=frozenset({"05_graclus"})))
    assert [link["href"] for link in found.find_all("a")] == ["05_graclus.html"]
    assert found.get_text().strip() == "see graphs and this"


def test_committed_pictures_are_embedded_and_none_from_outside_the_project(tmp_path, monkeypatch):
    root = tmp_path / "project"
    (root / "notebooks").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "data" / "a.png").write_bytes(b"inside")
    (tmp_path / "secret.png").write_bytes(b"outside")
    monkeypatch.setenv(paths.HOME_VARIABLE, str(root))
    both = '![one](../data/a.png)\n\n<details><img src="../data/a.png" alt="two">\n\n![three](../../secret.png)'
    sources = [image["src"] for image in markdown(both).find_all("img")]
    assert sources == ["data:image/png;base64,aW5zaWRl", "data:image/png;base64,aW5zaWRl", "../../secret.png"]


def with_outputs(*outputs) -> BeautifulSoup:
    cell = code("x", "1 < 2")
    cell.outputs = list(outputs)
    return soup(site.render_notebook(v4.new_notebook(cells=[cell]), paths.notebooks_folder()))


def test_outputs_of_each_kind():
    page = with_outputs(
        v4.new_output("stream", name="stdout", text="a < b \x1b[31mred\x1b[0m"),
        v4.new_output("error", ename="E", evalue="v", traceback=["<trace>"]),
        v4.new_output("execute_result", {"text/plain": "tensor(<1>)"}),
        v4.new_output("display_data", {"text/html": PICTURE, "text/plain": "one pixel"}),
        v4.new_output("display_data", {"text/markdown": "*so*"}),
    )
    texts = [element.get_text() for element in page.find_all("pre")]
    assert texts == ["1 < 2\n", "a < b red", "<trace>", "tensor(<1>)"]
    assert page.img["alt"] == "one pixel"
    assert page.em.text == "so"
    assert "\x1b" not in str(page)


def test_a_widget_without_a_kernel_shows_its_frames():
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "abc"}, "text/html": PICTURE, "text/plain": "w"}
    page = with_outputs(v4.new_output("display_data", view))
    assert page.img["alt"] == "one pixel"
    assert "abc" not in str(page)


def test_a_hidden_cell_is_folded_and_default_parameters_give_way_to_those_used():
    cells = [code("a", "first = 1", "parameters"), code("b", "second = 2", "injected-parameters")]
    cells.append(code("c", "third = 3", site.HIDDEN_TAG))
    page = soup(site.render_notebook(v4.new_notebook(cells=cells), paths.notebooks_folder()))
    assert [element.get_text().strip() for element in page.find_all("pre")] == ["second = 2", "third = 3"]
    assert page.details.pre.get_text().strip() == "third = 3"


@pytest.mark.parametrize("with_solutions", [True, False])
def test_solutions_follow_an_exercise_folded_or_not_at_all(with_solutions):
    shown = [
        v4.new_output("display_data", {exercises.VERDICT_MIME: {"id": name}, "text/html": "<b>open</b>"})
        for name in ("05.e2", "05.e2", "05.q1")
    ]
    notebook = v4.new_notebook(cells=[v4.new_code_cell("ctx.check(...)", outputs=shown)])
    page = soup(site.render_notebook(notebook, paths.notebooks_folder(), with_solutions=with_solutions))
    folded = page.find_all("details")
    assert [part.summary.get_text() for part in folded] == (
        ["a solution of 05.e2", "answer to 05.q1"] if with_solutions else []
    )
    assert ("def mutual" in page.get_text()) == with_solutions


def bound(tmp_path, *names: str, problems: tuple[str, ...] = ()) -> site.Chapter:
    chapters = [site.Chapter(name, f"About $L_1$ & {name[:2]}", 1.5, problems) for name in names]
    for name in names:
        notebook(tmp_path / "notebooks", name, text("body", "# Heading\n\n$x$"))
        source = nbformat.read(tmp_path / "notebooks" / f"{name}.ipynb", as_version=4)
        nbformat.write(source, tmp_path / "notebooks" / f"{name}.ipynb")
    record = results.Record("ap/hgg", 0.51239, {"images": 8})
    source = {"commit": "abc", "device": "cpu", "versions": {"torch": "2"}}
    for name in names:
        results.save(results.Results(name, "smoke", 0, (record,), {}, 0, 1.0, source), tmp_path / "results")
    return site.bind(tmp_path, "smoke", chapters)


def test_the_index_links_every_notebook_with_state_time_and_results(tmp_path):
    index = bound(tmp_path, "03_graph_construction", "05_graclus")
    page = soup(index.read_text())
    links = [link["href"] for link in page.main.find_all("a")]
    assert links == [
        f"{folder}{name}.{kind}"
        for name in ("03_graph_construction", "05_graclus")
        for folder, kind in (("", "html"), ("notebooks/", "ipynb"))
    ]
    assert "2 of 2" in page.main.get_text()
    assert "ap (profile smoke)" in [caption.get_text() for caption in page.find_all("caption")]
    assert [row.get_text(" ") for row in page.find_all("table")[1].tbody.find_all("tr")] == [
        "hgg 0.512 images 8 03",
        "hgg 0.512 images 8 05",
    ]
    assert "commit abc" in page.get_text().replace("\n", " ")


def test_pages_link_to_the_one_before_and_after(tmp_path):
    bound(tmp_path, "03_graph_construction", "05_graclus", "06_hierarchical_grouping")
    page = soup((tmp_path / "05_graclus.html").read_text())
    assert page.find(rel="prev")["href"] == "03_graph_construction.html"
    assert page.find(rel="next")["href"] == "06_hierarchical_grouping.html"
    assert soup((tmp_path / "03_graph_construction.html").read_text()).find(rel="prev") is None


def test_pages_have_language_landmarks_and_a_skip_link(tmp_path):
    index = bound(tmp_path, "05_graclus")
    for path in (index, tmp_path / "05_graclus.html"):
        page = soup(path.read_text())
        assert page.html["lang"] == "en"
        assert page.find("main", id="main") is not None
        assert page.find("a", class_="skip")["href"] == "#main"
        assert page.nav["aria-label"]
        assert site.page_problems(path) == []
    assert page.title.text == "About L1 & 05"


def test_a_notebook_that_failed_says_so_on_both_pages(tmp_path):
    index = bound(tmp_path, "05_graclus", problems=("cell x: ValueError: <no>",))
    assert "failed" in soup(index.read_text()).find(class_="bad").get_text()
    alert = soup((tmp_path / "05_graclus.html").read_text()).find(role="alert")
    assert "cell x: ValueError: <no>" in alert.get_text()


def test_a_book_without_notebooks_is_still_a_page(tmp_path):
    index = site.bind(tmp_path, "smoke", [])
    assert "0 of 0" in index.read_text()
    assert site.page_problems(index) == []


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ('<script src="https://cdn.example.org/require.js"></script>', "<script> loads https://cdn"),
        ('<link rel="stylesheet" href="style.css">', "<link> loads style.css"),
        ('<img src="picture.png" alt="a picture">', "<img> loads picture.png"),
        ('<img src="data:image/png;base64,AA">', "a picture without alt text"),
        ("<style>@import url(https://fonts.example.org)</style>", "a style sheet loads something"),
        ('<a href="absent.html">x</a>', "dead link to absent.html"),
        ('<a href="#absent">x</a>', "dead link to #absent"),
        ("<p>left as $x_i$ here</p>", "a formula was left as $x_i$"),
    ],
)
def test_what_is_wrong_with_a_page_is_found(tmp_path, markup, expected):
    path = tmp_path / "page.html"
    path.write_text(f"<html><body>{markup}</body></html>")
    (found,) = site.page_problems(path)
    assert found.startswith(expected)


def test_what_is_right_with_a_page_is_left_alone(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(
        '<p id="here">costs $5</p><a href="#here">x</a><a href="page.html">x</a><a href="https://arxiv.org/abs/1">x</a>'
        f"<pre>$x$ and $y$</pre><script>1</script>{PICTURE}"
    )
    assert site.page_problems(path) == []
