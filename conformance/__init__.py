"""The conformance suite: whether a helpdesk and its adapter hold what the promises rest on.

`connector conformance` runs it against the helpdesk of the settings, `testing.HelpdeskConformance` in a
vendor's own tests.
"""
