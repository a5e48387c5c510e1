"""Sign-up: pending until the email address is confirmed; taken and free addresses look the same."""
