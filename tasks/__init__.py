"""The work: Celery tasks that relay events, and the inbox that keeps them in order until they are done."""
