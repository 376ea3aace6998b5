"""The pixels a model sees: geometry, how a picture is fitted, number grids."""
