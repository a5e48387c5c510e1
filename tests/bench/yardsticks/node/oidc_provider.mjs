// Serve oidc-provider with its own store, which is in memory, and write the tokens of 64 sessions to
// a file, with the cookie of a browser that is signed in. The environment variable OPTIONS is JSON:
// {port, to, bits}, where `bits` is the size of the RSA key that signs ID tokens.

import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { Provider } from "oidc-provider";

const { port, to, bits } = JSON.parse(process.env.OPTIONS);
const clientId = "bench", scope = "openid email offline_access";
const key = generateKeyPairSync("rsa", { modulusLength: bits }).privateKey.export({ format: "jwk" });
const email = (sub) => `${sub}@example.org`;

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: clientId,
    client_secret: "bench",
    grant_types: ["authorization_code", "refresh_token"],
    redirect_uris: ["https://app.example.org/"],
  }],
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  features: { devInteractions: { enabled: false } },
  findAccount: (_context, sub) => ({
    accountId: sub,
    claims: () => ({ sub, email: email(sub), email_verified: true }),
  }),
  jwks: { keys: [{ ...key, kid: "bench", alg: "RS256", use: "sig" }] },
  // This site rotates at each refresh; by default, oidc-provider rotates late in the life of a token.
  rotateRefreshToken: true,
  ttl: { AccessToken: 3600, Grant: 3600, IdToken: 3600, RefreshToken: 3600 },
});

async function session(number) {
  const accountId = `person${number}`;
  const grant = new provider.Grant({ accountId, clientId });
  grant.addOIDCScope(scope);
  const grantId = await grant.save();
  const client = await provider.Client.find(clientId);
  const granted = { accountId, client, grantId, gty: "authorization_code", scope, claims: {} };
  const access = await new provider.AccessToken(granted).save();
  const refresh = await new provider.RefreshToken(granted).save();
  return { access, refresh };
}

async function cookie() {
  const accountId = "person0";
  const grant = new provider.Grant({ accountId, clientId });
  grant.addOIDCScope(scope);
  const browser = new provider.Session({});
  browser.loginAccount({ accountId });
  browser.ensureClientContainer(clientId);
  browser.grantIdFor(clientId, await grant.save());
  await browser.save(3600);
  return `_session=${browser.jti}`;
}

const tokens = await Promise.all(Array.from({ length: 64 }, (_, n) => session(n)));
writeFileSync(to, JSON.stringify({ tokens, cookie: await cookie() }));
provider.listen(port, "127.0.0.1");
