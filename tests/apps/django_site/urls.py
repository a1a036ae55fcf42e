"""Routes of the Django test project."""

from django.contrib import admin
from django.urls import path
from django_site import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("hello", views.hello),
    path("json", views.json_echo),
    path("upload", views.upload),
    path("stream", views.stream),
    path("endless/<str:token>", views.endless),
    path("file", views.file),
    path("fail/<str:token>", views.fail),
    path("async/gather", views.async_gather),
    path("async/stream", views.async_stream),
    path("async/endless/<str:token>", views.async_endless),
    path("async/wait/<str:token>", views.async_wait),
]
