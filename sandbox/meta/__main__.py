"""`python -m sandbox.meta` serves it."""

from sandbox.meta.app import main

main()
