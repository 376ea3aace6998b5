"""Keyed streams, sealed bytes and files that only their owner can read."""
