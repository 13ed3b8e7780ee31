"""A Meta and a helpdesk to try the connector with, each its own server, as strict as the real ones."""
