"""WSGI for those that ask for much: the application of the attacks at full scale, which keeps no notes."""

from tests.attacks.sites.wsgi_site import app

__all__ = ["app"]
