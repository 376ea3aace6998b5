"""Releases: the crash-safe engine, the forms of a file, the signed list, the private ledger."""
