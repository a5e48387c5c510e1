"""Signing in on a device, in Chromium: the person follows its link on a phone, without scripts."""

import json

from accounts.oauth.devices import GRANT
from tests.support.browser import MOBILE
from tests.support.browser_steps import newcomer, press, says, sees, sign_in
from tests.support.steps import LOGOUT


def call(site, path, **form):
    """Call an endpoint as the device."""
    return site.client(User_Agent="curl/8.5.0").post(path, form, csrf=False)


def test_without_scripts_a_person_connects_a_device_whose_link_they_follow(site, open_page):
    newcomer(site, "connecting").post(LOGOUT, form="/")
    added = site.manage("add_client", "Terminal", "--public", "--device", "--json")
    app = json.loads(added)["client_id"]
    form = {"client_id": app, "scope": "openid email"}
    codes = json.loads(call(site, "/oauth/device_authorization", **form).body)
    page = open_page(site, java_script_enabled=False, **MOBILE)

    page.goto(codes["verification_uri_complete"])
    sees(page, "Sign in")
    sign_in(page, "connecting")
    sees(page, "Connect a device")
    code = page.get_by_label("Code on your device")
    assert code.input_value() == codes["user_code"][:5]
    press(page, "Continue")
    says(page, "No device is waiting with this code.")
    code.fill(codes["user_code"].lower())
    press(page, "Continue")
    sees(page, "Sign in to Terminal")
    says(page, "curl", "connecting@example.org", "If someone sent you the code or a link, refuse")
    press(page, "Allow")
    sees(page, "Go back to your device")

    grant = {"grant_type": GRANT, "client_id": app, "device_code": codes["device_code"]}
    assert call(site, "/oauth/token", **grant).status == 200
