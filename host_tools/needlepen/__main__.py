"""`python -m needlepen`."""

from needlepen.cli import main

main()
