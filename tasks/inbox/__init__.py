"""The inbox: every accepted job, in its queue's order, until it is done."""
