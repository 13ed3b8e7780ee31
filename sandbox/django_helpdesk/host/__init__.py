"""A Django project that has django-helpdesk installed; it runs in an environment of its own."""
