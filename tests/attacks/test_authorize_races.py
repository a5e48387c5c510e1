"""A race between an authorization and a disconnection on PostgreSQL."""

from tests.support.races import WAITS
from tests.support.site import Site

# Holds the lock of the account, as a disconnection does, while a first-party app gets more scopes
# than before, and prints whether that waits for the account without a lock of the connection.
GROWING = f"""{WAITS}
from threading import Thread
from django.db import OperationalError, transaction
from accounts.activity.services import Actor
from accounts.common import clock
from accounts.oauth import devices
from accounts.oauth.clients.models import Client
from accounts.oauth.models import AuthorizationRequest, Connection
from accounts.sessions.models import LoginSession
from accounts.users.models import User

def connection_is_free():
    try:
        with transaction.atomic():
            return len(Connection.objects.select_for_update(nowait=True)) == 1
    except OperationalError:
        return False

alice, later = User.objects.create(username="alice", password="!"), clock.now().replace(year=9999)
times = {{"auth_time": clock.now(), "idle_at": later, "ends_at": later}}
session = LoginSession.objects.create(user=alice, **times)
app = Client.objects.create(name="Paperless", is_first_party=True)
Connection.objects.create(user=alice, client=app, scope="openid")
asked = AuthorizationRequest(client=app, scope="openid email", expires_at=later)
thread = Thread(target=devices.grant, args=(asked, session, Actor()))
with transaction.atomic():
    User.objects.select_for_update(no_key=True).get(pk=alice.pk)
    thread.start()
    print(waits(thread), connection_is_free())
thread.join()
print(Connection.objects.get().scope)
"""


def test_more_scopes_for_a_first_party_app_do_not_deadlock_with_a_disconnection(tmp_path, postgres):
    site = Site(data_dir=tmp_path, DATABASE_URL=postgres.database())
    site.make_database()

    says = site.manage("shell", "--no-imports", "-c", GROWING)

    assert says.splitlines() == ["True True", "openid email"]
