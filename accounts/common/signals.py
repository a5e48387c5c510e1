"""Signals by which packages of lower layers notify those of higher layers."""

from django.dispatch import Signal

# A credential was added, changed or removed; sent in the transaction of the change. Arguments:
# ``user``; ``event``, the name of an event in ``accounts.activity.events``; ``actor``, who did it
# and from which client; ``detail``, optional, such as the name of the credential; ``keep``, the id
# of the one session that is not revoked, or None.
credentials_changed = Signal()

# A person has revoked all other sessions; sent in the transaction that does it. Arguments:
# ``user``; ``actor``, who did it and from which client.
signed_out_elsewhere = Signal()

# A person has proved a second factor. Arguments: ``user``; ``proof``, with the id of the factor as
# its ``key``; ``actor``, who proved it and from which client.
factor_proved = Signal()
