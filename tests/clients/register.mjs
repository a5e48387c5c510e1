// Register an app, and sign somebody in to it. The environment variable OPTIONS is JSON: {issuer, token,
// redirectUri}. Prints, as a line of JSON each, the metadata of the app and the URL to which the browser
// goes; reads the URL to which the browser comes back; prints the claims and a refreshed answer's type.

import * as oidc from "openid-client";
import { createInterface } from "node:readline/promises";

const { issuer, token, redirectUri } = JSON.parse(process.env.OPTIONS);
const execute = [oidc.allowInsecureRequests];
const config = await oidc.dynamicClientRegistration(
  new URL(issuer),
  {
    client_name: "Paperless",
    redirect_uris: [redirectUri],
    grant_types: ["authorization_code", "refresh_token"],
  },
  undefined,
  { execute, initialAccessToken: token },
);
const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
const expectedState = oidc.randomState();
const url = oidc.buildAuthorizationUrl(config, {
  redirect_uri: redirectUri,
  scope: "openid email offline_access",
  code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: "S256",
  state: expectedState,
});
console.log(JSON.stringify({ metadata: config.clientMetadata(), url }));
const back = await createInterface({ input: process.stdin }).question("");
const given = await oidc.authorizationCodeGrant(config, new URL(back), {
  pkceCodeVerifier,
  expectedState,
  idTokenExpected: true,
});
const renewed = await oidc.refreshTokenGrant(config, given.refresh_token);
console.log(JSON.stringify({ claims: given.claims(), renewed: renewed.token_type }));
process.exit();
