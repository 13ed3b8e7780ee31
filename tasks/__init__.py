"""The work: Celery tasks that do jobs, and the inbox that keeps them in order until they are done."""
