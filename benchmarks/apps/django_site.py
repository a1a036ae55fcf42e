"""A Django site of ordinary size: the admin with all it needs, templates, sessions and a database (in memory), as WSGI.

``BALLAST_MIB`` in the environment adds so much of what applications like to keep: a table of Python objects.
"""

from __future__ import annotations

import os

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(
    DEBUG=False,
    SECRET_KEY="a benchmark keeps no secrets",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    STATIC_URL="/static/",
    LOGGING_CONFIG=None,
)
django.setup(set_prefix=False)

from django.contrib import admin  # noqa: E402 - its models need the settings

#: About 200 bytes each.
ballast = {
    number: f"the text of number {number} " + "." * 90
    for number in range(int(os.environ.get("BALLAST_MIB", "0")) * 5243)
}


def _who(request: HttpRequest) -> HttpResponse:
    """Which process answers, after a look at what it keeps."""
    return HttpResponse(f"{os.getpid()} {sum(map(len, ballast.values()))}", content_type="text/plain")


urlpatterns = [path("who", _who), path("admin/", admin.site.urls)]

wsgi = WSGIHandler()
# As the first request would, and as an application does that is meant to be preloaded.
admin.autodiscover()
