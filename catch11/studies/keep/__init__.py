"""What files of each keep are good for, to the licensee, to third parties, and beyond the licence."""

from catch11.studies.keep.study import STUDY

__all__ = ["STUDY"]
