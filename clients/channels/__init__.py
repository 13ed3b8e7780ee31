"""The channels: a folder of dialects each."""
