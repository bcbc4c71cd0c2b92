"""A button to choose a picture of one's own with, in JupyterLab; a sentence where there is no kernel.

The file goes from the browser to the kernel and nowhere else. Callbacks only assign values: see `hggbook.widgets`.
"""

import html

import ipywidgets
from IPython.display import display

from hggbook.data.pictures import Picture, photograph_of
from hggbook.widgets import WIDGET_MIME

NOTHING = "no file chosen (up to 10 MB: what is larger does not reach the kernel)"


class Upload:
    """A file chooser for one picture; what was chosen is read at once, and what is wrong with it is said.

    Args:
        label: names what is chosen.

    Attributes:
        picture: the picture; None if none was chosen, or what was chosen last is none.

    Not in the paper: it is the workbook's own machinery.
    """

    def __init__(self, label: str):
        self.label = label
        self.picture: Picture | None = None
        tip = f"choose {label}"
        self._button = ipywidgets.FileUpload(
            accept="image/*", multiple=False, description="choose a file", tooltip=tip, layout={"width": "14em"}
        )
        self._said = ipywidgets.HTML(_status(NOTHING))
        self._button.observe(self._follow, names="value")
        title = ipywidgets.HTML(f"<b>{html.escape(label)}</b>")
        self.box = ipywidgets.VBox([title, ipywidgets.HBox([self._button, self._said])])

    def _follow(self, change) -> None:
        if not change["new"]:
            return
        chosen = change["new"][-1]
        self._button.value = ()  # the widget's state can be saved with a notebook; the file must not be
        try:
            image = photograph_of(bytes(chosen["content"]), chosen["name"])
        except Exception as error:  # a live widget has nowhere to raise to
            self.picture, self._said.value = None, _status(str(error), alert=True)
            return
        self.picture = Picture(image, chosen["name"])
        height, width = image.shape[:2]
        self._said.value = _status(f"{chosen['name']}: {width} x {height} pixels")

    def show(self) -> None:
        """Shows the button where there is a kernel; on a page, says what would be here."""
        bundle = self.box._repr_mimebundle_()
        bundle = bundle[0] if isinstance(bundle, tuple) else bundle
        text = f"In JupyterLab, a button is here to choose {self.label} with."
        display(
            {WIDGET_MIME: bundle[WIDGET_MIME], "text/html": f"<p>{html.escape(text)}</p>", "text/plain": text}, raw=True
        )


def _status(text: str, *, alert: bool = False) -> str:
    return f'<span role="{"alert" if alert else "status"}">{html.escape(text)}</span>'
