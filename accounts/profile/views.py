"""Home: one's account at a glance."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@never_cache
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Greets by name; a stranger is led to sign in and back."""
    return render(request, "accounts/profile/home.html")
