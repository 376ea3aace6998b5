"""Sounds: models, released files, scores, attacks."""
