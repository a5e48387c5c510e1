"""Sign-in: one policy says what the proofs still lack, and one function makes the session."""
