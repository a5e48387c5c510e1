"""The parameters of OAuth requests, and the errors with which they are answered."""

from django.http import QueryDict

# The longest value of a parameter, in bytes of UTF-8. In the redirect to an app, ``state`` takes up
# to three times as many, and proxies must accept a header of that length.
LONGEST = 8192


class OAuthError(Exception):
    """A request is refused with an error code of OAuth (RFC 6749 sections 4.1.2.1 and 5.2).

    ``error``: the code.
    ``description``: a sentence for the developer of the client, in ASCII and without quotes.
    ``status``: the HTTP status, if the client is not redirected.
    """

    def __init__(self, error: str, description: str = "", *, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.description, self.status = error, description, status


def is_acceptable(value: str) -> bool:
    """Return whether ``value`` is short enough for a parameter, and has no control characters."""
    return value.isprintable() and len(value.encode()) <= LONGEST


def parameters(data: QueryDict) -> dict[str, str]:
    """Return the parameters in ``data`` that have a value (RFC 6749 section 3.1).

    Raises:
        OAuthError: a parameter is repeated, or its value is too long or has control characters.
    """
    found: dict[str, str] = {}
    for name, values in data.lists():
        if len(values) > 1:
            raise OAuthError("invalid_request", "A parameter is repeated.")
        if not is_acceptable(values[0]):
            raise OAuthError(
                "invalid_request", "A parameter is too long or has control characters."
            )
        if values[0]:
            found[name] = values[0]
    return found
