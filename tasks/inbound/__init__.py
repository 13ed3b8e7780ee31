"""From a channel to the helpdesk."""
