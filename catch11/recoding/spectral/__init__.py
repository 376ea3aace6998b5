"""Noise inside the subspace that the authorized model's front does not see."""
