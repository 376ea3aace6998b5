"""Texts: models, recoders, released files, scores, attacks."""
