"""`python -m connector` is `connector`."""

from connector.cli.main import main

main()
