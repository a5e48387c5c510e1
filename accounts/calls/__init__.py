"""Features that the API calls share: query parameters, lists, and repeated requests."""
