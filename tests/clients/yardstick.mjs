// Run oidc-provider, which is certified by the OpenID Foundation, as strict as it can be configured to
// what this site offers. The environment variable OPTIONS is JSON: {port, clients}.
//
// The first browser that comes is signed in as alice, without a page, and has agreed to everything.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const { port, clients } = JSON.parse(process.env.OPTIONS);
const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
const scopes = ["openid", "profile", "email", "offline_access"];

async function grantOf({ oidc: { provider, client, session } }) {
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope(scopes.join(" "));
  await grant.save();
  return grant;
}

const provider = new Provider(`http://127.0.0.1:${port}`, {
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["preferred_username"] },
  clients,
  cookies: { keys: ["a key for cookies that protect nothing"] },
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
  findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
  // Without prompt=consent, oidc-provider ignores offline_access.
  issueRefreshToken: async () => true,
  jwks: { keys: [{ ...key, kid: "yardstick", alg: "RS256", use: "sig" }] },
  loadExistingGrant: grantOf,
  pkce: { required: () => true },
  responseTypes: ["code"],
  rotateRefreshToken: true,
  scopes,
  ttl: Object.fromEntries(
    ["AccessToken", "AuthorizationCode", "Grant", "IdToken", "Interaction", "RefreshToken", "Session"]
      .map((name) => [name, 600]),
  ),
});

const others = provider.callback();
createServer((request, response) => {
  if (!request.url.startsWith("/interaction/")) return others(request, response);
  const signedIn = { login: { accountId: "alice" } };
  return provider.interactionFinished(request, response, signedIn).catch((error) => {
    response.statusCode = 500;
    response.end(String(error));
  });
}).listen(port, "127.0.0.1");
