"""Steppers and explorers: one bundle for the live and the static form, every frame with its text."""

import matplotlib.pyplot as plt
import pytest
from bs4 import BeautifulSoup

from hggbook import widgets
from hggbook.widgets import Choice, Slider


def one_frame(k: int = 0) -> widgets.Frame:
    figure, axes = plt.subplots(figsize=(1, 1))
    axes.bar([0], [k])
    return widgets.frame(figure, alt=f"A bar as high as {k}.", caption=f"step {k}")


FRAMES = [one_frame(k) for k in range(3)]


def slider_of(box):
    return box.children[1].children[3]


def test_the_bundle_holds_the_widget_and_every_frame_with_its_text(displayed):
    widgets.stepper(FRAMES, label="bars")
    data = displayed[0]
    assert widgets.WIDGET_MIME in data
    images = BeautifulSoup(data["text/html"], "html.parser").find_all("img")
    assert [image["alt"] for image in images] == ["A bar as high as 0.", "A bar as high as 1.", "A bar as high as 2."]
    assert all(image["src"].startswith("data:image/png;base64,") for image in images)
    assert data["text/plain"].startswith("bars: A bar as high as 0. | ")


def test_moving_the_slider_changes_picture_text_and_place():
    box = widgets.stepper_box(FRAMES, "bars")
    picture, place = box.children[2], box.children[1].children[4]
    slider_of(box).value = 2
    assert "A bar as high as 2." in picture.value
    assert "3 of 3" in place.value
    slider_of(box).value = 0
    assert "A bar as high as 0." in picture.value


def test_back_and_next_stop_at_the_ends():
    box = widgets.stepper_box(FRAMES, "bars")
    _, back, forward, slider, _ = box.children[1].children
    back.click()
    assert slider.value == 0
    for _ in range(5):
        forward.click()
    assert slider.value == 2
    back.click()
    assert slider.value == 1


def test_every_control_is_labelled():
    box = widgets.stepper_box(FRAMES, "bars")
    for control in box.children[1].children[:4]:
        assert control.description
        assert "bars" in control.tooltip


def test_a_single_frame_is_enough_and_none_is_refused():
    assert slider_of(widgets.stepper_box(FRAMES[:1], "bars")).max == 0
    with pytest.raises(ValueError, match="frames: expected at least one"):
        widgets.stepper([], label="bars")
    with pytest.raises(ValueError, match="label: expected"):
        widgets.stepper(FRAMES, label=" ")


CONTROLS = {"k": Slider(0, 5, 1, 2, "height"), "kind": Choice(("a", "b"), "a", "kind")}


def render(k: int, kind: str) -> widgets.Frame:
    if k == 5:
        raise ValueError("five <is> too many")
    figure, _ = plt.subplots(figsize=(1, 1))
    return widgets.frame(figure, alt=f"A picture of k {k} and kind {kind}.")


def test_an_explorer_draws_anew_with_every_control():
    box, first = widgets.explorer_box(render, CONTROLS, "explorer")
    _, height, kind, picture = box.children
    assert first.alt == "A picture of k 2 and kind a."
    height.value = 4
    assert "k 4 and kind a" in picture.value
    kind.value = "b"
    assert "k 4 and kind b" in picture.value


def test_a_mistake_in_the_callback_is_shown_and_not_swallowed():
    box, _ = widgets.explorer_box(render, CONTROLS, "explorer")
    box.children[1].value = 5
    assert "five &lt;is&gt; too many" in box.children[3].value
    box.children[1].value = 1
    assert "k 1" in box.children[3].value


def test_a_mistake_in_the_first_picture_raises():
    with pytest.raises(ValueError, match="too many"):
        widgets.explorer(render, {**CONTROLS, "k": Slider(0, 5, 1, 5, "height")}, label="explorer")


def test_the_page_shows_the_first_setting_and_the_chosen_ones(displayed):
    settings = [{"k": 3}, {"kind": "b"}]
    assert widgets.explorer(render, CONTROLS, label="explorer", static=settings) == 3
    alts = [image["alt"] for image in BeautifulSoup(displayed[0]["text/html"], "html.parser").find_all("img")]
    assert alts == [f"A picture of k {k} and kind {kind}." for k, kind in ((2, "a"), (3, "a"), (2, "b"))]
    with pytest.raises(ValueError, match="static: expected settings of k, kind, got q"):
        widgets.explorer(render, CONTROLS, label="explorer", static=[{"q": 1}])
    with pytest.raises(ValueError, match="controls: expected at least one"):
        widgets.explorer(render, {}, label="explorer")


def course(history: tuple[str, ...]) -> widgets.Frame:
    figure, _ = plt.subplots(figsize=(1, 1))
    return widgets.frame(figure, alt=f"A picture after {' '.join(history) or 'nothing'}.")


def left(history: tuple[str, ...]) -> list[str]:
    return [name for name in "abc" if name not in history]


def smallest(history: tuple[str, ...]) -> str | None:
    return min(left(history)) if len(history) < 2 else None


def test_a_chooser_takes_the_readers_choice_the_algorithms_and_takes_them_back():
    box = widgets.chooser_box(course, left, smallest, "order")
    _, choice, row, picture = box.children
    take, ask, undo, again = row.children
    assert (undo.disabled, again.disabled) == (True, True)
    choice.value = "b"
    take.click()
    assert "after b" in picture.value
    assert choice.options == ("a", "c")
    ask.click()
    assert "after b a" in picture.value
    assert ask.disabled  # the algorithm would stop here
    take.click()
    assert "after b a c" in picture.value
    assert take.disabled
    undo.click()
    assert "after b a." in picture.value
    again.click()
    assert "after nothing" in picture.value
    assert choice.options == ("a", "b", "c")


def test_the_page_shows_the_course_that_the_algorithm_takes(displayed):
    assert widgets.chooser(course, left, smallest, label="order") == 3
    alts = [image["alt"] for image in BeautifulSoup(displayed[0]["text/html"], "html.parser").find_all("img")]
    assert alts == ["A picture after nothing.", "A picture after a.", "A picture after a b."]


def test_whole_numbers_make_a_slider_of_whole_numbers():
    box, _ = widgets.explorer_box(render, CONTROLS, "explorer")
    assert isinstance(box.children[1].value, int)
    controls = {"k": Slider(0.0, 1.0, 0.1, 0.5, "k")}
    box, _ = widgets.explorer_box(lambda k: render(k, "a"), controls, "explorer")
    assert box.children[1].value == 0.5


def test_equal_pictures_have_equal_bytes():
    assert one_frame(1).png == one_frame(1).png


def test_a_cell_of_figures_alone_stays_on_one_line():
    texts = ["+0.006 [+0.002, +0.011]", "20.6 ± 0.6", "40 / 4 / 6", "44.7 %", "2 of 10", "#9 over #1", ""]
    cells = BeautifulSoup(widgets.table_html(["a"], [[text] for text in texts], "b"), "html.parser").find_all("td")
    assert ["nowrap" in cell.get("style", "") for cell in cells] == [True] * 4 + [False] * 3


def test_numbers_stand_to_the_right_and_so_does_the_name_of_their_column():
    rows = [["hgg", 0.5, 3, None], ["ae", None, 4, True]]
    table = BeautifulSoup(widgets.table_html(["grouper", "AP", "images", "best"], rows, "b"), "html.parser")
    assert ["number" in cell.get("class", []) for cell in table.find_all("th")] == [False, True, True, False]
    assert ["number" in cell.get("class", []) for cell in table.find_all("td")][4:] == [False, False, True, False]
    assert widgets.table_html(["a"], [], "an empty table").count("<th ") == 1


def test_a_table_has_a_caption_and_header_cells():
    markup = widgets.table_html(["grouper", "AP"], [["<HGG>", 0.51234], ["oracle", None]], "AP on 8 scenes")
    table = BeautifulSoup(markup, "html.parser")
    assert table.caption.text == "AP on 8 scenes"
    assert [cell["scope"] for cell in table.find_all("th")] == ["col", "col"]
    assert [cell.text for cell in table.find_all("td")] == ["<HGG>", "0.512", "oracle", "–"]
    with pytest.raises(ValueError, match="table: expected 2 cells"):
        widgets.table_html(["a", "b"], [[1]], "c")
