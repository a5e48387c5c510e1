"""The endpoint for pushed authorization requests (RFC 9126)."""

from django.http import HttpRequest, HttpResponse

from accounts.oauth import client_auth, open_requests, requests
from accounts.oauth.endpoints import endpoint, success
from accounts.oauth.protocol import OAuthError
from accounts.tokens import dpop


@endpoint
def push(request: HttpRequest, sent: dict[str, str]) -> HttpResponse:
    """Check and store an authorization request; answer with its ``request_uri``."""
    client = client_auth.authenticate(request, sent)
    if "request_uri" in sent:
        raise OAuthError("invalid_request", "A pushed request must not have a request_uri.")
    asked, proof = requests.read(client, sent), dpop.proof_of(request)
    if proof.thumbprint:
        # The proof binds the code to its key, as ``dpop_jkt`` would (RFC 9449 section 10.1).
        if asked.dpop_jkt not in {"", proof.thumbprint}:
            raise OAuthError("invalid_dpop_proof", "The dpop_jkt does not match the proof.")
        asked.dpop_jkt = proof.thumbprint
    budgets = open_requests.budgets_of(client, request)
    request_uri = open_requests.push(asked, *budgets)
    # After the limits, so that a stranger cannot fill the database with used proofs.
    proof.spend()
    seconds = int(open_requests.PUSHED_LIFE.total_seconds())
    response = success({"request_uri": request_uri, "expires_in": seconds})
    response.status_code = 201
    return response
