"""The processes of `connector up`."""
