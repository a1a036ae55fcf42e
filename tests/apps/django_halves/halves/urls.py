"""Routes without anything async."""

from django.urls import include, path
from halves import views

urlpatterns = [path("database", views.database), path("more/", include([path("database", views.database)]))]
