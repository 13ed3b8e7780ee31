"""The ways in by HTTP."""
