"""``python -m tempo_lib.cli``."""

from tempo_lib.cli.app import main

main()
