"""`python -m catch11` is the command."""

from catch11.cli import main

main()
