// Redeem a code, refresh, and call userinfo and the API, with tokens that are bound to a key of each
// algorithm. The environment variable OPTIONS is JSON: {issuer, client, redirectUri, verifier, codes};
// codes are by algorithm. Prints JSON: the answers by algorithm.

import * as oidc from "openid-client";

const { issuer, client, redirectUri, verifier, codes } = JSON.parse(process.env.OPTIONS);
const options = { execute: [oidc.allowInsecureRequests] };
const config = await oidc.discovery(new URL(issuer), client, undefined, oidc.None(), options);
const found = {};

for (const [algorithm, code] of Object.entries(codes)) {
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair(algorithm));
  const url = new URL(redirectUri);
  url.search = new URLSearchParams({ code, iss: issuer });
  const given = await oidc.authorizationCodeGrant(
    config, url, { pkceCodeVerifier: verifier }, undefined, { DPoP },
  );
  const renewed = await oidc.refreshTokenGrant(config, given.refresh_token, undefined, { DPoP });
  const token = renewed.access_token;
  const person = await oidc.fetchUserInfo(config, token, given.claims().sub, { DPoP });
  const api = new URL("/api/v1/me/", issuer);
  const me = await oidc.fetchProtectedResource(config, token, api, "GET", null, undefined, { DPoP });
  const stolen = await fetch(api, { headers: { authorization: `Bearer ${token}` } });
  found[algorithm] = {
    types: [given.token_type, renewed.token_type],
    key: await DPoP.calculateThumbprint(),
    bound: JSON.parse(Buffer.from(token.split(".")[1], "base64url")).cnf.jkt,
    subjects: [person.sub, (await me.json()).id],
    statuses: [me.status, stolen.status],
  };
}
console.log(JSON.stringify(found));
