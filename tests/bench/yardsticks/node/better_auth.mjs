// Serve better-auth on PostgreSQL with people who sign in with email and password.
// The environment variable OPTIONS is JSON: {port, database, people, password}.

import { createServer } from "node:http";
import { Algorithm, hash, verify } from "@node-rs/argon2";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import pg from "pg";

const { port, database, people, password } = JSON.parse(process.env.OPTIONS);
// The cost of this site; better-auth's own default is scrypt.
const cost = { algorithm: Algorithm.Argon2id, memoryCost: 19456, timeCost: 2, parallelism: 1 };

const options = {
  baseURL: `http://127.0.0.1:${port}`,
  database: new pg.Pool({ connectionString: database }),
  emailAndPassword: {
    enabled: true,
    password: {
      hash: (text) => hash(text, cost),
      verify: ({ hash: stored, password: text }) => verify(stored, text),
    },
  },
  // All connections of the benchmark come from one IP address.
  rateLimit: { enabled: false },
  secret: "a secret of the benchmark, which protects nothing",
  telemetry: { enabled: false },
};

await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);
for (let number = 0; number < people; number += 1) {
  const name = `person${number}`;
  await auth.api.signUpEmail({ body: { name, email: `${name}@example.org`, password } });
}
createServer(toNodeHandler(auth)).listen(port, "127.0.0.1");
