"""``check.py URL TOKEN``: print the status and the reason of each check of scim2-tester."""

import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import check_server

URL, TOKEN = sys.argv[1:]
client = Client(base_url=URL, headers={"Authorization": f"Bearer {TOKEN}"})
for result in check_server(SyncSCIMClient(client)):
    sys.stdout.write(f"{result.status.name} {result.title} {result.reason or ''!a}\n")
