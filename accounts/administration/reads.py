"""What several parts of the page about a person read."""

from accounts.common.reading import read_once
from accounts.sessions import services as sessions

live_sessions = read_once(sessions.live)
