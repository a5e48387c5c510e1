"""Chromium's virtual authenticator: what keeps a person's passkeys, without a person."""

from typing import Any

from playwright.sync_api import Page

# The device itself, which knows its user; a security key that can't tell who touches it.
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
SECURITY_KEY = DEVICE | {
    "transport": "usb",
    "hasResidentKey": False,
    "hasUserVerification": False,
    "isUserVerified": False,
}
# A browser in which a passkey is used by its button alone: the virtual one answers the offer of
# autofill at once, as if somebody had chosen it there.
NO_AUTOFILL = "delete PublicKeyCredential.isConditionalMediationAvailable"
# A browser in which the offer of autofill waits until the test chooses from it.
AUTOFILL_WAITS = """
const get = navigator.credentials.get.bind(navigator.credentials)
navigator.credentials.get = async options => {
    if (options.mediation === "conditional") await new Promise((choose, refuse) => {
        addEventListener("chosen", choose)
        window.isOffered = true
        options.signal.addEventListener("abort", () => refuse(options.signal.reason))
    })
    return get(options)
}
"""
OFFERED = "window.isOffered"
CHOSEN = "dispatchEvent(new Event('chosen'))"
# What a page tells the keeper of passkeys, instead of telling it.
TOLD = "window.told"
SIGNALS = """
window.told = []
for (const name of [
    "signalAllAcceptedCredentials", "signalCurrentUserDetails", "signalUnknownCredential"
]) PublicKeyCredential[name] = async options => { told.push([name, options]) }
"""

type Credential = dict[str, Any]


class VirtualAuthenticator:
    """One authenticator in the browser of ``page``; it says yes, unless told otherwise."""

    def __init__(self, page: Page, **options: Any) -> None:
        self._cdp = page.context.new_cdp_session(page)
        self._cdp.send("WebAuthn.enable", {"enableUI": False})
        answer = self._cdp.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE | options})
        self._id = answer["authenticatorId"]

    @property
    def credentials(self) -> list[Credential]:
        """The passkeys that it keeps, their private keys too."""
        found = self._send("getCredentials")["credentials"]
        assert isinstance(found, list)
        return found

    def verify_user(self, verifies: bool) -> None:
        """Whether finger, face or PIN are right from now on."""
        self._send("setUserVerified", isUserVerified=verifies)

    def unplug(self) -> None:
        """Take it away."""
        self._send("removeVirtualAuthenticator")

    def _send(self, command: str, **options: Any) -> dict[str, Any]:
        answer = self._cdp.send(f"WebAuthn.{command}", {"authenticatorId": self._id, **options})
        assert isinstance(answer, dict)
        return answer


def url_safe(text: str) -> str:
    """Base64 of the debugger's as WebAuthn writes it."""
    return text.replace("+", "-").replace("/", "_").rstrip("=")
