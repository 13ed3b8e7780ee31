"""The dialects: what Meta and the helpdesk say, as plain values, and how to say things back."""
