"""``python -m scanlearn`` is the command ``scanlearn``."""

from scanlearn.cli import main

main()
