"""Sign-up: pending until the email address is confirmed, without revealing which are taken."""
