"""Pages to add, rename and remove second factors, in a session or during a sign-in."""
