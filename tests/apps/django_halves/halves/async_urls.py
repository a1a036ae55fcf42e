"""Routes with an async view among them."""

from django.urls import include, path
from halves import views

urlpatterns = [path("database", views.database), path("sse/", include([path("ticks", views.ticks)]))]
