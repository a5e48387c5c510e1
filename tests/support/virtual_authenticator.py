"""Control Chromium's virtual authenticator, which stores passkeys and confirms each use."""

from typing import Any

from playwright.sync_api import Page

# A built-in authenticator that verifies its user.
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
# A security key that does not verify its user.
SECURITY_KEY = DEVICE | {
    "transport": "usb",
    "hasResidentKey": False,
    "hasUserVerification": False,
    "isUserVerified": False,
}
# Turns autofill off in a browser, so that only the button uses a passkey: the virtual
# authenticator would answer the autofill request at once, as if a person had chosen the passkey.
NO_AUTOFILL = "delete PublicKeyCredential.isConditionalMediationAvailable"
# Makes autofill wait until the test chooses a passkey.
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
# Records the signals of a page to the password manager instead of sending them.
TOLD = "window.told"
SIGNALS = """
window.told = []
for (const name of [
    "signalAllAcceptedCredentials", "signalCurrentUserDetails", "signalUnknownCredential"
]) PublicKeyCredential[name] = async options => { told.push([name, options]) }
"""

# Makes the browser able to make a passkey by itself, which Chromium does only with its own password
# manager. The virtual authenticator then answers as if it had been asked.
MAKES_PASSKEYS = """
PublicKeyCredential.getClientCapabilities = async () => ({ conditionalCreate: true })
const create = navigator.credentials.create.bind(navigator.credentials)
navigator.credentials.create = async ({ mediation, ...options }) => create(options)
"""

type Credential = dict[str, Any]


class VirtualAuthenticator:
    """An authenticator in the browser of ``page``; it confirms each request by default."""

    def __init__(self, page: Page, **options: Any) -> None:
        self._cdp = page.context.new_cdp_session(page)
        self._cdp.send("WebAuthn.enable", {"enableUI": False})
        answer = self._cdp.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE | options})
        self._id = answer["authenticatorId"]

    @property
    def credentials(self) -> list[Credential]:
        """The stored passkeys, with their private keys."""
        found = self._send("getCredentials")["credentials"]
        assert isinstance(found, list)
        return found

    def store(self, credential: Credential) -> None:
        """Store a passkey of another authenticator, as a password manager that is synced does."""
        self._send("addCredential", credential=credential)

    def verify_user(self, verifies: bool) -> None:
        """Set whether the authenticator verifies its user by fingerprint, face or PIN."""
        self._send("setUserVerified", isUserVerified=verifies)

    def unplug(self) -> None:
        """Remove the authenticator from the browser."""
        self._send("removeVirtualAuthenticator")

    def _send(self, command: str, **options: Any) -> dict[str, Any]:
        answer = self._cdp.send(f"WebAuthn.{command}", {"authenticatorId": self._id, **options})
        assert isinstance(answer, dict)
        return answer


def url_safe(text: str) -> str:
    """Convert base64 from the debugger into base64url as WebAuthn uses it."""
    return text.replace("+", "-").replace("/", "_").rstrip("=")
