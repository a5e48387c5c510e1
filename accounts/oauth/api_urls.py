"""The URLs of the API calls about connected apps."""

from django.urls import path

from accounts.oauth.api import AppsView, AppView

urlpatterns = [
    path("apps/", AppsView.as_view(), name="api-apps"),
    path("apps/<path:client_id>/", AppView.as_view(), name="api-app"),
]
