// What a person does, with types made by openapi-typescript. Arguments: ORIGIN STEP NAME and those of
// the step.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };

const [origin, step, username, ...given] = process.argv.slice(2) as [string, string, string];
const api = createClient<paths>({ baseUrl: origin });
const email = `${username}@example.org`;
const [first, second, third, fourth] = given as string[] as [string, string, string, string];

const as = (access: string) => ({ headers: { Authorization: `Bearer ${access}` } });

async function signUp() {
  const body = { username, email, password: first };
  return (await api.POST("/api/v1/users/", { body })).data!.username;
}

async function verify() {
  const body = { email, code: first };
  return (await api.POST("/api/v1/email/verify/", { body })).data!.username;
}

async function setUp() {
  const { data: tokens } = await api.POST("/api/v1/token/", { body: { username, password: first } });
  const { data } = await api.POST("/api/v1/factors/totp/setup/", as(tokens!.access));
  return `${tokens!.access} ${data!.setup} ${data!.secret}`;
}

async function enrol() {
  const body = { setup: second, code: third };
  const { data } = await api.POST("/api/v1/factors/totp/", { ...as(first), body });
  return data!.recovery_codes!.join(" ");
}

async function withCode(password: string, code: string) {
  const { error } = await api.POST("/api/v1/token/", { body: { username, password } });
  const refused = error as components["schemas"]["SignInError"];
  if (refused.code !== "second_factor_required" || !refused.methods?.includes("totp")) throw refused;
  const body = { challenge: refused.challenge!, code };
  return (await api.POST("/api/v1/token/challenge/", { body })).data!;
}

async function signIn() {
  const { access } = await withCode(first, second);
  return (await api.GET("/api/v1/me/", as(access))).data!.username;
}

async function endSessions() {
  const { access, refresh } = await withCode(first, second);
  const renewed = await api.POST("/api/v1/token/refresh/", { body: { refresh: refresh! } });
  const { results } = (await api.GET("/api/v1/sessions/", as(access))).data!;
  for (const { id } of results.filter((session) => !session.is_current)) {
    await api.DELETE("/api/v1/sessions/{id}/", { ...as(access), params: { path: { id } } });
  }
  const left = (await api.GET("/api/v1/sessions/", as(access))).data!.results;
  if (left.length !== 1) throw left;
  await api.POST("/api/v1/token/revoke/", { body: { token: renewed.data!.refresh! } });
  const { error } = await api.GET("/api/v1/me/", as(access));
  if (error?.code !== "token_not_valid") throw error;
  return results.length;
}

async function askReset() {
  return (await api.POST("/api/v1/password/reset/", { body: { username } })).data!.challenge;
}

async function reset() {
  const body = { challenge: first, code: second, password: third, factor_code: fourth };
  return (await api.POST("/api/v1/password/reset/confirm/", { body })).data!.username;
}

const steps: { [name: string]: () => Promise<string | number> } = {
  ...{ "sign-up": signUp, verify, "set-up": setUp, enrol, "sign-in": signIn },
  ...{ "end-sessions": endSessions, "ask-reset": askReset, reset },
};
console.log(await steps[step]!());
