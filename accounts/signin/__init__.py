"""Sign-in. The one door: a proof comes in, one policy says what is missing, one function admits."""
