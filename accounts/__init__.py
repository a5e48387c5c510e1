"""User accounts, sign-in, sessions and tokens. Each package imports only lower layers."""
