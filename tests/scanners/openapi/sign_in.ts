// Sign up and sign in with types made by openapi-typescript. Arguments: ORIGIN STEP NAME and those of
// the step.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };

const [origin, step, username, ...given] = process.argv.slice(2) as [string, string, string];
const api = createClient<paths>({ baseUrl: origin });
const email = `${username}@example.org`;
const [first, second] = given as string[] as [string, string];

async function signUp() {
  const body = { username, email, password: first };
  return (await api.POST("/api/v1/users/", { body })).data?.username;
}

async function verify() {
  const body = { email, code: first };
  return (await api.POST("/api/v1/email/verify/", { body })).data?.username;
}

async function signIn() {
  const { error } = await api.POST("/api/v1/token/", { body: { username, password: first } });
  const refused = error as components["schemas"]["SignInError"];
  if (refused.code !== "second_factor_required" || !refused.methods?.includes("totp")) throw refused;
  const body = { challenge: refused.challenge!, code: second };
  const { data: tokens } = await api.POST("/api/v1/token/challenge/", { body });
  const headers = { Authorization: `Bearer ${tokens!.access}` };
  return (await api.GET("/api/v1/me/", { headers })).data?.username;
}

console.log(await { "sign-up": signUp, verify, "sign-in": signIn }[step]!());
