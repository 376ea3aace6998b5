"""A point near keyed noise that the authorized model answers as it answers the source."""
