"""Nets that the studies train or build for themselves."""
