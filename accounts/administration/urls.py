"""The URLs of the admin that belong to no model."""

from django.contrib import admin
from django.urls import path

from accounts.administration import elevation

urlpatterns = [
    path("admin/superuser/", admin.site.admin_view(elevation.take), name="elevation"),
    path("admin/superuser/end/", admin.site.admin_view(elevation.give_up), name="elevation_end"),
]
