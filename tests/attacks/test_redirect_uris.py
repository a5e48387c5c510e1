"""Redirect URIs that would send a code to somebody else, or run code in the browser."""

import pytest
from django.core.exceptions import ValidationError

from accounts.oauth.clients import uris

WEB = "https://app.example.org/callback"
LOOPBACK = "http://127.0.0.1/callback"
OWN_SCHEME = "org.example.app:/callback"
HOSTILE = """
/callback
//app.example.org/callback
app.example.org
https:
https:/app.example.org/callback
https:///callback
https:app.example.org
http://app.example.org/callback
http://localhost/callback
http://localhost:8000/callback
http://127.0.0.2/callback
http://127.1/callback
http://2130706433/callback
http://127.0.0.1.example.org/callback
http://127.0.0.1@example.org/callback
http://127.0.0.1:80@example.org/callback
http://127.0.0.1:0/callback
http://127.0.0.1:65536/callback
http://[::1%25eth0]/callback
http://[::1]x/callback
http://[0:0:0:0:0:0:0:1]/callback
javascript:alert(1)
JavaScript:alert(1)
javascript://app.example.org/%0aalert(1)
data:text/html,x
vbscript:x
file:///etc/passwd
about:blank
blob:https://app.example.org/x
view-source:https://app.example.org/
app:/callback
app://callback
org.example.app
org.example.app:callback
ORG.example.app:/callback
.example.app:/callback
org..app:/callback
https://user@app.example.org/callback
https://user:password@app.example.org/callback
https://app.example.org@mallory.example/callback
https://app.example.org:0/callback
https://app.example.org:99999/callback
https://app.example.org:/callback
https://app.example.org:443x/callback
https://[::1/callback
https://[::zz]/callback
https://[:::]/callback
https://App.example.org/callback
HTTPS://app.example.org/callback
https://app.example.org./callback
https://.app.example.org/callback
https://app..example.org/callback
https://*.example.org/callback
https://app.example.org/*
https://app%2eexample.org/callback
https://app.example.org%00.mallory.example/callback
https://bücher.example/callback
https://appł.example.org/callback
https://app。example.org/callback
https://app.example.org/cállback
https://app.example.org/callback#
https://app.example.org/callback#fragment
https://app.example.org/call back
https://app.example.org/%
https://app.example.org/%zz
https://app.example.org/<script>
https://app.example.org/"onload=
https://app.example.org\\@mallory.example/
https://app.example.org\\callback
https:\\\\app.example.org/callback
""".strip("\n").split("\n")
CONTROLS = ["\n", "\r\n", "\t", "\0", "\x7f", "\x85", "\u200b", "\u202e", "\u2028", "\ud800", " "]


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example.org",
        f"{WEB}?a=b%20c&d=/?",
        "https://xn--bcher-kva.example:8443/",
        "https://[2001:db8::1]:8443/callback",
    ],
)
def test_every_app_may_register_web_addresses(uri: str) -> None:
    for is_public in (True, False):
        uris.check(uri, is_public=is_public)


@pytest.mark.parametrize(
    "uri", [LOOPBACK, "http://[::1]:4000/", OWN_SCHEME, "org.example.app://callback"]
)
def test_only_a_public_app_may_register_an_address_on_a_device(uri: str) -> None:
    uris.check(uri, is_public=True)

    with pytest.raises(ValidationError):
        uris.check(uri, is_public=False)


@pytest.mark.parametrize("uri", ["", *HOSTILE, f"https://app.example.org/{'a' * 1000}"])
def test_an_address_that_others_could_receive_or_that_runs_code_is_refused(uri: str) -> None:
    with pytest.raises(ValidationError):
        uris.check(uri, is_public=True)


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("uri", [WEB, LOOPBACK, OWN_SCHEME])
def test_control_characters_and_spaces_are_refused_anywhere(uri: str, control: str) -> None:
    for place in (0, 2, uri.index(":") + 1, len(uri) - 1, len(uri)):
        hostile = f"{uri[:place]}{control}{uri[place:]}"
        assert not uris.is_registered([WEB, LOOPBACK, OWN_SCHEME], hostile)
        with pytest.raises(ValidationError):
            uris.check(hostile, is_public=True)


@pytest.mark.parametrize(
    "given",
    [
        *HOSTILE,
        *("", f"{WEB}/", f"{WEB}?", f"{WEB}?a=b", f"{WEB};a=b", f"{WEB}#", f"{WEB}%20", f"{WEB}."),
        *(f"{WEB}/../callback", f"{WEB}/more", WEB[:-1], f"{WEB},{WEB}", f"{WEB} {WEB}"),
        *(f"{WEB}/%2e%2e/other", f"https://mallory.example/?{WEB}", "https://xn--app.example.org/"),
        "https://mallory.example\\@app.example.org/callback",
        "https://app.example.org:8443/callback",
        *("https://app.example.org/Callback", "https://APP.example.org/callback"),
        *("https://app.example.org:443/callback", "https://app.example.org/c%61llback"),
        *("https://app.example.org/./callback", "https://app.example.org//callback"),
        *("https://app.example.org.mallory.example/callback", "https://127.0.0.1/callback"),
        *(f"{LOOPBACK}/more", f"{LOOPBACK}?a=b", f"{LOOPBACK}#", "http://127.0.0.1:4000"),
        *(
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:+1/callback",
            "http://127.0.0.1:\uff14/callback",
        ),
        *(
            "http://127.0.0.1:123456/callback",
            "http://[::1]/callback",
            "http://127.0.0.01/callback",
        ),
        *(f"{OWN_SCHEME}/", "org.example.app://callback", "org.example.app:1/callback"),
    ],
)
def test_a_request_may_name_only_an_address_that_is_registered_exactly(given: str) -> None:
    assert not uris.is_registered([WEB, LOOPBACK, OWN_SCHEME], given)


def test_only_the_port_of_a_loopback_address_may_differ() -> None:
    for given in (WEB, LOOPBACK, "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback"):
        assert uris.is_registered([WEB, LOOPBACK], given)
    assert uris.is_registered(["http://[::1]:4000/"], "http://[::1]:5000/")
