"""The doors: HTTP, the command line, and the settings."""
