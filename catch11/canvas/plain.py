"""The canvas of what is no picture: one row of values in the model's own units, untouched."""

from catch11.canvas.fit import Fit
from catch11.canvas.frame import Canvas


def strip_canvas(columns: int, *, rows: int = 1) -> Canvas:
    """A window (1, rows, columns) that is the whole canvas, with nothing to normalise.

    Raises InvalidArgument where it is larger than a canvas may be.
    """
    return Canvas(
        height=rows, width=columns, top=0, left=0, window_height=rows, window_width=columns,
        gain=(1.0,), offset=(0.0,), channels=1, order=(0,),
        fit=Fit(resize="none", height=rows, width=columns),
    )  # fmt: skip
