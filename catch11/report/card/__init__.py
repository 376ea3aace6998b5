"""The threat-model card of a release, and which records belong together on it."""

from catch11.evaluation.groups import clean_of, largest, line_of, preferred, release_of
from catch11.report.card.threats import Card, Row, card_of, cards, knows
from catch11.report.card.words import clean_cell, markdown, share, tried

__all__ = [
    "Card",
    "Row",
    "card_of",
    "cards",
    "clean_cell",
    "clean_of",
    "knows",
    "largest",
    "line_of",
    "markdown",
    "preferred",
    "release_of",
    "share",
    "tried",
]
