"""Where things are: the helpdesk below a path of its own, as its documentation has it."""

from django.conf import settings
from django.contrib import admin
from django.contrib.staticfiles.views import serve as serve_static
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from django.views.static import serve as serve_media

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="helpdesk:list")),
    path("admin/", admin.site.urls),
    path("helpdesk/", include("helpdesk.urls")),
    # `insecure` only means that no web server in front of this one does it.
    re_path(r"^static/(?P<path>.+)$", serve_static, {"insecure": True}),
    re_path(r"^media/(?P<path>.+)$", serve_media, {"document_root": settings.MEDIA_ROOT}),
]
