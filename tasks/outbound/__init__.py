"""From the helpdesk to a channel."""
