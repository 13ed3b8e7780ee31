"""The conformance suite: whether a helpdesk, through its adapter, holds what the connector's promises rest on.

`connector conformance` runs it against the helpdesk of the settings, `testing.HelpdeskConformance` in a
vendor's own tests.
"""
