"""What can go wrong at a provider."""


class Failed(Exception):
    """The provider's response is missing, reports an error or cannot be verified."""


class Refused(Exception):
    """The person has cancelled the sign-in at the provider."""
