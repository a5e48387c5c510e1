// Verifies one token with the package jose. In: JSON {jwks, token, issuer, audience}; out: its claims.

import { text } from "node:stream/consumers";
import { createLocalJWKSet, jwtVerify } from "jose";

const { jwks, token, issuer, audience } = JSON.parse(await text(process.stdin));
const options = { issuer, audience, typ: "at+jwt", requiredClaims: ["exp", "nbf"] };
const { payload } = await jwtVerify(token, createLocalJWKSet(jwks), options);
console.log(JSON.stringify(payload));
