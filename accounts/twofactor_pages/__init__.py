"""Enrolment. Authenticator apps and recovery codes are added, named, removed; at the door, too."""
