"""Benchmarks of the connector and of what one might use instead: `make bench`."""
