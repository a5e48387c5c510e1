"""User accounts, sign-in, sessions and tokens. A package imports only packages of lower layers."""
