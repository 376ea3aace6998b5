"""Kinds of data: what each brings to keys, recoders, releases, scores and attacks."""
