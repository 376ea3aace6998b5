"""The pixels a model sees: geometry, how a picture is fitted, number grids."""

from catch11.canvas.plain import plain_canvas

__all__ = ["plain_canvas"]
