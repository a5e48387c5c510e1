"""Sign-in with providers: a provider identifies a person, the sign-in flow decides the rest."""
