"""`python -m sandbox.helpdesk` serves it."""

from sandbox.helpdesk.app import main

main()
