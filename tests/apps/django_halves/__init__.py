"""A Django project with Channels, found through its manage.py: WSGI and ASGI applications of one site."""
