"""The pixels a model sees: geometry, how a picture is fitted, number grids."""

from catch11.canvas.plain import plain_canvas
from catch11.steady import settle

__all__ = ["plain_canvas"]

settle()
