"""Bounds and certificates of first layers: pure mathematics."""
