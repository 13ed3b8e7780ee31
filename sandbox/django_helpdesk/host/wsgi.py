"""What gunicorn runs."""

import os

from django.core.wsgi import get_wsgi_application
from host.journal import journaled

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "host.settings")
application = journaled(get_wsgi_application())
