"""Signals that packages of lower layers send to packages of higher layers."""

from django.dispatch import Signal

# Sent when a credential is added, changed or removed, in the transaction of the change. Arguments:
# ``user``; ``event``, the name of an event in ``accounts.activity.events``; ``actor``, the person
# and client that made the change, or None; ``detail``, optional, such as the name of the
# credential; ``keep``, the id of the only session that stays signed in, or None.
credentials_changed = Signal()

# Sent when sessions that may belong to apps have ended, in the same transaction. Argument:
# ``rows``, a query set of those that ended just now.
sessions_ended = Signal()

# Sent when a person has shown a second factor. Arguments: ``user``; ``proof``, with the id of the
# factor as its ``key``; ``actor``, the person and client that showed the factor.
factor_proved = Signal()
