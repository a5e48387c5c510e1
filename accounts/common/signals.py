"""What rooms below tell rooms above."""

from django.dispatch import Signal

# A means to prove who one is was added, changed or taken away; sent inside its transaction.
# Arguments: ``user``; ``event``, the name of a kind in ``accounts.activity.events``; ``actor``,
# who did it and from where; ``detail``, more on it, if there is more; ``keep``, the id of the one
# login session that goes on, or None.
credentials_changed = Signal()

# A person has signed out everywhere else; sent inside that transaction. Arguments: ``user``;
# ``actor``, who did it and from where.
signed_out_elsewhere = Signal()

# A second factor was shown. Arguments: ``user``; ``proof``, whose ``key`` names the factor;
# ``actor``, who showed it and from where.
factor_proved = Signal()
