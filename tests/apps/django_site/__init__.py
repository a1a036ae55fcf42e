"""A Django 5 project with its admin, served as WSGI (`django_site.wsgi`) and as ASGI (`django_site.asgi`)."""
