"""The OpenID Provider: apps send people here to sign in, and get them back signed in."""
