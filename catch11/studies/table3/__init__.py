"""Table 3: ways to restrict use, side by side."""

from catch11.studies.table3.study import STUDY

__all__ = ["STUDY"]
