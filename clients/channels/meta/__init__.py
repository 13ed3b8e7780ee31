"""Meta's channels."""
