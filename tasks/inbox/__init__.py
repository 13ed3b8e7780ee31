"""The inbox: every accepted event, in its queue's order, until it is done."""
