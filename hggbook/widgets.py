"""Pictures to step through and to steer: live in JupyterLab, and the same pictures one after another on a page.

Two traps shape this module. `Output` and `interact` widgets stall under papermill, so callbacks only assign values. And
a widget is blank without a kernel, so every widget goes out in **one** display bundle with its frames as HTML:
JupyterLab shows the widget, the book shows the frames, a screen reader reads their text in both.
"""

import base64
import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
SHORTEST_ALT = 10
MANY_COLUMNS = 9
FIGURES = re.compile(r"[-+±–%.,/\[\] \d]+")


@dataclass(frozen=True)
class Frame:
    """One picture with the text that stands for it.

    Attributes:
        png: bytes of a PNG image.
        alt: what is to be seen, for readers who do not see it.
        caption: shown below the picture; may be empty.
        width, height: in CSS pixels.
    """

    png: bytes
    alt: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True)
class Slider:
    """A control that chooses a number from ``low`` to ``high``; whole numbers if all of them are."""

    low: int | float
    high: int | float
    step: int | float
    value: int | float
    label: str


@dataclass(frozen=True)
class Choice:
    """A control that chooses one of a few named options."""

    options: tuple[str, ...]
    value: str
    label: str


def frame(figure: Figure, *, alt: str, caption: str = "") -> Frame:
    """Turn a matplotlib figure into a `Frame`, at twice its size in pixels for sharp screens, and close the figure.

    Raises:
        ValueError: an ``alt`` that says nothing.

    Not in the paper: it is the workbook's own machinery.
    """
    if len(alt.strip()) < SHORTEST_ALT:
        plt.close(figure)
        raise ValueError(f"alt: expected a sentence that says what the figure shows, got {alt!r}")
    buffer = io.BytesIO()
    width, height = figure.get_size_inches() * 96
    figure.savefig(buffer, format="png", dpi=192, metadata={"Software": None})  # equal bytes with any version
    plt.close(figure)
    return Frame(buffer.getvalue(), alt.strip(), caption.strip(), round(width), round(height))


def figure_html(item: Frame) -> str:
    """``<figure>`` with the picture embedded, its alt text and its caption.

    Not in the paper: it is the workbook's own machinery.
    """
    caption = f"<figcaption>{html.escape(item.caption)}</figcaption>" if item.caption else ""
    source = "data:image/png;base64," + base64.b64encode(item.png).decode("ascii")
    return (
        f'<figure class="hgg-figure"><img src="{source}" alt="{html.escape(item.alt)}" width="{item.width}" '
        f'style="max-width:100%;height:auto">{caption}</figure>'
    )


def frames_html(frames: Sequence[Frame], label: str) -> str:
    """All frames of a stepper in order, as a labelled list: what a page without a kernel shows.

    Not in the paper: it is the workbook's own machinery.
    """
    items = "".join(f"<li>{figure_html(item)}</li>" for item in frames)
    return f'<div class="hgg-frames" role="group" aria-label="{html.escape(label)}"><ol>{items}</ol></div>'


def table_html(header: Sequence[str], rows: Sequence[Sequence[Any]], caption: str) -> str:
    """A table with caption and header cells; floats with three decimals, None as a dash.

    A text of figures alone, such as ``+0.006 [+0.002, +0.011]``, stays on one line.

    Raises:
        ValueError: a row of another length than the header.

    Not in the paper: it is the workbook's own machinery.
    """
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"table: expected {len(header)} cells in every row, got {list(row)!r}")

    def is_number(value):
        return isinstance(value, int | float) and not isinstance(value, bool)

    def look(value, column):  # JupyterLab puts all cells to the right
        if is_number(value):
            return ' class="number"'
        one_line = "; white-space: nowrap" if isinstance(value, str) and FIGURES.fullmatch(value) else ""
        room = "; min-width: 10em" if column == 0 and len(header) > MANY_COLUMNS else ""
        return f' style="text-align: left{one_line}{room}"'

    def text(value):
        return html.escape("–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value))

    def name_look(column):
        numbers = rows and all(is_number(row[column]) or row[column] is None for row in rows)
        return ' class="number"' if numbers else ' style="text-align: left"'

    head = "".join(f'<th scope="col"{name_look(k)}>{html.escape(name)}</th>' for k, name in enumerate(header))
    lines = ("".join(f"<td{look(value, k)}>{text(value)}</td>" for k, value in enumerate(row)) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    kind = "hgg-table wide" if len(header) > MANY_COLUMNS else "hgg-table"
    return (
        f'<table class="{kind}"><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _bundle(live: ipywidgets.Widget, frames: Sequence[Frame], label: str) -> dict[str, Any]:
    bundle = live._repr_mimebundle_()
    bundle = bundle[0] if isinstance(bundle, tuple) else bundle
    text = f"{label}: " + " | ".join(item.alt for item in frames)
    return {**bundle, "text/html": frames_html(frames, label), "text/plain": text}


def _picture(item: Frame) -> ipywidgets.HTML:
    # HTML and not Image: an Image widget has no alt text
    return ipywidgets.HTML(figure_html(item), layout=ipywidgets.Layout(min_height=f"{item.height}px"))


def stepper_box(frames: Sequence[Frame], label: str, interval: int = 900) -> ipywidgets.VBox:
    """The live widget: play, back, forward and a slider over the frames. Arrow keys move the focused slider.

    Raises:
        ValueError: no frames, or no label.

    Not in the paper: it is the workbook's own machinery.
    """
    if not frames:
        raise ValueError("frames: expected at least one, got none")
    if not label.strip():
        raise ValueError("label: expected a few words that name what is stepped through, got none")
    last = len(frames) - 1
    tip = f"{label}: frame 1 to {len(frames)}; arrow keys move"
    slider = ipywidgets.IntSlider(
        value=0, min=0, max=last, description="frame", tooltip=tip, continuous_update=True, readout=False
    )
    play = ipywidgets.Play(value=0, min=0, max=last, interval=interval, description="play", tooltip=f"play: {label}")
    back = ipywidgets.Button(description="◀ back", tooltip=f"one frame back: {label}", layout={"width": "6em"})
    forward = ipywidgets.Button(description="next ▶", tooltip=f"one frame on: {label}", layout={"width": "6em"})
    place = ipywidgets.HTML(f"<span>1 of {len(frames)}</span>")
    picture = _picture(frames[0])
    picture.layout.min_height = f"{max(item.height for item in frames)}px"  # the page does not jump
    ipywidgets.jslink((play, "value"), (slider, "value"))

    def follow(change):
        picture.value = figure_html(frames[change["new"]])
        place.value = f'<span aria-live="polite">{change["new"] + 1} of {len(frames)}</span>'

    slider.observe(follow, names="value")
    back.on_click(lambda _: setattr(slider, "value", max(slider.value - 1, 0)))
    forward.on_click(lambda _: setattr(slider, "value", min(slider.value + 1, last)))
    controls = ipywidgets.HBox([play, back, forward, slider, place], layout={"flex_flow": "row wrap"})
    return ipywidgets.VBox([ipywidgets.HTML(f"<b>{html.escape(label)}</b>"), controls, picture])


def stepper(frames: Sequence[Frame], *, label: str, interval: int = 900) -> None:
    """Show pictures to step through: a live widget where there is a kernel, else the frames in order.

    Args:
        frames: made by `frame`; all of them are rendered before, so that both forms show the same.
        label: names what is stepped through.
        interval: milliseconds a frame is shown while playing.

    Raises:
        ValueError: no frames, or no label.

    Not in the paper: it is the workbook's own machinery.
    """
    display(_bundle(stepper_box(frames, label, interval), frames, label), raw=True)


def explorer_box(
    render: Callable[..., Frame], controls: Mapping[str, Slider | Choice], label: str
) -> tuple[ipywidgets.VBox, Frame]:
    """The live widget of `explorer` and its first frame. Not in the paper: it is the workbook's own machinery."""
    if not controls:
        raise ValueError("controls: expected at least one, got none")
    parts = {name: _control(control) for name, control in controls.items()}
    first = render(**{name: part.value for name, part in parts.items()})
    picture = _picture(first)

    def follow(_):
        # A live widget has nowhere to raise to: without this, a mistake would silently leave the old picture standing.
        try:
            picture.value = figure_html(render(**{name: part.value for name, part in parts.items()}))
        except Exception as error:
            picture.value = f'<p role="alert">{html.escape(f"{type(error).__name__}: {error}")}</p>'

    for part in parts.values():
        part.observe(follow, names="value")
    return ipywidgets.VBox([ipywidgets.HTML(f"<b>{html.escape(label)}</b>"), *parts.values(), picture]), first


def _control(control: Slider | Choice) -> ipywidgets.Widget:
    look = {"description": control.label, "tooltip": control.label, "style": {"description_width": "initial"}}
    if isinstance(control, Choice):
        return ipywidgets.Dropdown(options=list(control.options), value=control.value, **look)
    numbers = {"min": control.low, "max": control.high, "step": control.step, "value": control.value}
    whole = all(isinstance(number, int) for number in numbers.values())
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    # a render takes a moment: follow when the handle is let go, not at every pixel on the way
    return kind(**numbers, continuous_update=False, layout={"width": "28em"}, **look)


def explorer(
    render: Callable[..., Frame],
    controls: Mapping[str, Slider | Choice],
    *,
    label: str,
    static: Sequence[Mapping[str, Any]] = (),
) -> int:
    """Show a picture that is drawn anew when a control moves; on a page, the pictures of a few chosen settings.

    Args:
        render: ``render(**settings) -> Frame``, called with one value for every control.
        controls: name of an argument of ``render`` -> its control, in the order shown.
        label: names what is explored.
        static: the further settings that the page shows after the first; each names only what differs from it.

    Returns:
        How many frames the page shows.

    Raises:
        ValueError: no controls, or a static setting that names none of them.

    Not in the paper: it is the workbook's own machinery.
    """
    for setting in static:
        if unknown := sorted(set(setting) - set(controls)):
            raise ValueError(f"static: expected settings of {', '.join(controls)}, got {', '.join(unknown)}")
    box, first = explorer_box(render, controls, label)
    start = {name: control.value for name, control in controls.items()}
    frames = [first, *(render(**{**start, **setting}) for setting in static)]
    display(_bundle(box, frames, label), raw=True)
    return len(frames)


def chooser_box(
    render: Callable[[tuple[str, ...]], Frame],
    options: Callable[[tuple[str, ...]], Sequence[str]],
    advise: Callable[[tuple[str, ...]], str | None],
    label: str,
) -> ipywidgets.VBox:
    """The live widget of `chooser`. Not in the paper: it is the workbook's own machinery."""
    history: list[str] = []
    choice = ipywidgets.Dropdown(description="next", tooltip=f"next: {label}", layout={"width": "28em"})
    buttons = {
        name: ipywidgets.Button(description=name, tooltip=f"{tip}: {label}", layout={"width": "10em"})
        for name, tip in (
            ("take it", "take the chosen one"), ("let it choose", "the algorithm's choice"),
            ("undo", "take the last one back"), ("start again", "take all back"),
        )
    }  # fmt: skip
    picture = _picture(render(()))

    def refresh() -> None:
        known = tuple(history)
        left = list(options(known))
        choice.options, choice.disabled = left, not left
        buttons["take it"].disabled = not left
        buttons["let it choose"].disabled = advise(known) is None
        buttons["undo"].disabled = buttons["start again"].disabled = not history
        picture.value = figure_html(render(known))

    def on(name: str, act: Callable[[], Any]) -> None:
        def follow(_):
            act()
            refresh()

        buttons[name].on_click(follow)

    on("take it", lambda: history.append(choice.value))
    on("let it choose", lambda: history.append(advise(tuple(history))))
    on("undo", lambda: history.pop())
    on("start again", history.clear)
    refresh()
    rows = ipywidgets.HBox(list(buttons.values()), layout={"flex_flow": "row wrap"})
    return ipywidgets.VBox([ipywidgets.HTML(f"<b>{html.escape(label)}</b>"), choice, rows, picture])


def chooser(
    render: Callable[[tuple[str, ...]], Frame],
    options: Callable[[tuple[str, ...]], Sequence[str]],
    advise: Callable[[tuple[str, ...]], str | None],
    *,
    label: str,
) -> int:
    """Let a reader decide what an algorithm decides, one step at a time; on a page, the algorithm's own course.

    Args:
        render: the picture after the choices made so far.
        options: what may be chosen next, by name; none: it is over.
        advise: what the algorithm would choose next, one of the options, or None where it stops.
        label: names what is decided.

    Returns:
        How many frames the page shows.

    Not in the paper: it is the workbook's own machinery.
    """
    frames, course = [render(())], ()
    while (step := advise(course)) is not None:
        course = (*course, step)
        frames.append(render(course))
    display(_bundle(chooser_box(render, options, advise, label), frames, label), raw=True)
    return len(frames)
