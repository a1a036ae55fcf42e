"""Settings of the project; the folder for its database is named by SITE_FILES."""

import os
from pathlib import Path

SECRET_KEY = "for tests only"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = os.environ.get("SITE_URLS", "halves.urls")
INSTALLED_APPS = ["channels", "halves"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(os.environ["SITE_FILES"]) / "halves.sqlite3",
        "CONN_MAX_AGE": 600,
    }
}
WSGI_APPLICATION = "halves.wsgi.application"
ASGI_APPLICATION = "halves.asgi.application"
CHANNEL_LAYERS = (
    {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}} if os.environ.get("SITE_LAYER") == "memory" else {}
)
