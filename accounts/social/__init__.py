"""Sign-in with providers: a provider identifies the person, and the sign-in flow does the rest."""
