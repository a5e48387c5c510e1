// Run OpenID Providers with oidc-provider, which is certified by the OpenID Foundation and shares no
// code with the site. The environment variable OPTIONS is JSON:
// {providers: {<name>: <port>}, clientId, clientSecret, redirects}.
//
// A person signs in by a name alone: `alice` has the verified email alice@example.org,
// `alice.unverified` has an unverified email, and `alice.nowhere` has none.

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { Provider } from "oidc-provider";

const { providers, clientId, clientSecret, redirects } = JSON.parse(process.env.OPTIONS);

function claimsOf(sub) {
  const [name, kind] = sub.split(".");
  const mail = { email: `${name}@example.org`, email_verified: kind === undefined };
  return { sub, name: `The ${name}`, preferred_username: name, ...(kind === "nowhere" ? {} : mail) };
}

/** Grant all scopes without asking for consent. */
async function grantOf({ oidc: { provider, session } }) {
  const grant = new provider.Grant({ clientId, accountId: session.accountId });
  grant.addOIDCScope("openid email profile");
  await grant.save();
  return grant;
}

function configured(name) {
  const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
  const inCookies = ["session", "interaction", "resume"];
  return {
    clients: [{
      client_id: clientId,
      client_secret: clientSecret,
      redirect_uris: ["http://localhost/"],
      token_endpoint_auth_method: "client_secret_basic",
    }],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "preferred_username"] },
    // Cookies do not distinguish ports, and several providers run on one host.
    cookies: {
      keys: [randomBytes(16).toString("hex")],
      names: Object.fromEntries(inCookies.map((use) => [use, `${name}-${use}`])),
    },
    features: { devInteractions: { enabled: false } },
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => claimsOf(sub) }),
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    jwks: { keys: [{ ...key, kid: name, alg: "RS256", use: "sig" }] },
    loadExistingGrant: grantOf,
    pkce: { required: () => true },
    ttl: { Grant: 600, Interaction: 600, Session: 600 },
  };
}

const page = (name) => `<!doctype html>
<html lang="en"><meta name="viewport" content="width=device-width"><title>${name}</title>
<main><h1>Sign in at ${name}</h1>
<form method="post">
<label>Name <input name="name"></label>
<button>Sign in</button> <button name="refuse" value="1">Refuse</button>
</form></main>`;

async function interact(provider, name, request, response) {
  if (request.method !== "POST") {
    await provider.interactionDetails(request, response);
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    return response.end(page(name));
  }
  const form = new URLSearchParams(await text(request));
  const result = form.has("refuse")
    ? { error: "access_denied" }
    : { login: { accountId: form.get("name") } };
  return provider.interactionFinished(request, response, result);
}

for (const [name, port] of Object.entries(providers)) {
  const provider = new Provider(`http://127.0.0.1:${port}`, configured(name));
  // The ports of sites in a test run are not known before, so redirect URIs must match a pattern.
  provider.Client.prototype.redirectUriAllowed = (uri) => new RegExp(`^${redirects}$`).test(uri);
  const others = provider.callback();
  createServer((request, response) => {
    if (!request.url.startsWith("/interaction/")) return others(request, response);
    return interact(provider, name, request, response).catch((error) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  }).listen(port, "127.0.0.1");
}
