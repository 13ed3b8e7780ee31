"""The helpdesks: an adapter for each API."""
