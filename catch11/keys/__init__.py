"""A key: front, subspace, canvas and secret; its file, and keys estimated from features."""
