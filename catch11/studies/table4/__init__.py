"""Table 4: vision-language models."""

from catch11.studies.table4.study import STUDY

__all__ = ["STUDY"]
