"""Keyed streams, the cipher of sealed copies, encrypted bytes and files that only their owner can read."""
