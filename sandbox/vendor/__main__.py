"""`python -m sandbox.vendor` plays it."""

from sandbox.vendor.command import main

main()
