"""The OpenID Provider: apps sign people in with their accounts here."""
