"""What the calls of the API have in common: query parameters, lists, repeated requests."""
