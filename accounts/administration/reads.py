"""Queries that several parts of the page about a person share."""

from accounts.common.reading import read_once
from accounts.sessions import services as sessions

live_sessions = read_once(sessions.live)
