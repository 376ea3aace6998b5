"""Pictures: their released files."""
