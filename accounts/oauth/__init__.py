"""The OpenID Provider: the apps that will sign people in with their accounts here."""
