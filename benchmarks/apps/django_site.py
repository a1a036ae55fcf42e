"""A Django site of ordinary size: the admin with all it needs, templates, sessions and a database (in memory), as WSGI.

``BALLAST_MIB`` in the environment adds so much of what applications like to keep: a table of Python objects.
"""

from __future__ import annotations

import os
import random

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path, resolve

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
from django.template.loader import get_template  # noqa: E402

#: With key, value and place in the table about 240 bytes each.
_COUNT = int(os.environ.get("BALLAST_MIB", "0")) * (1 << 20) // 240
ballast = {number: f"the text of number {number} ".ljust(120, ".") for number in range(_COUNT)}


def _who(request: HttpRequest) -> HttpResponse:
    """Which process answers, after a look at a few of the things that it keeps."""
    found = [ballast[random.randrange(_COUNT)] for _ in range(10)] if ballast else []
    return HttpResponse(f"{os.getpid()} {len(''.join(found))}", content_type="text/plain")


urlpatterns = [path("who", _who), path("admin/", admin.site.urls)]

wsgi = WSGIHandler()
# What else the first request would do, in each worker anew.
resolve("/admin/login/")
get_template("admin/login.html")
