// Sign in to an MCP server, as a client that knows only its URL, and call a tool. The environment
// variable OPTIONS is JSON: {server, client, document}; the client ID, or the URL of the metadata
// document. Prints the URL at which the person signs in, and then JSON: what the tool returned, also
// after the access token was no longer good, and the tokens.

import { once } from "node:events";
import { createServer } from "node:http";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const { server, client, document } = JSON.parse(process.env.OPTIONS);
const listener = createServer().listen(0, "127.0.0.1");
await once(listener, "listening");
const kept = { information: client && { client_id: client } };
const authProvider = {
  redirectUrl: `http://127.0.0.1:${listener.address().port}/callback`,
  clientMetadata: { client_name: "Assistant", grant_types: ["authorization_code", "refresh_token"] },
  clientMetadataUrl: document,
  clientInformation: () => kept.information,
  saveClientInformation: (information) => { kept.information = information; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  redirectToAuthorization: (url) => console.log(url.href),
};

const assistant = new Client({ name: "assistant", version: "1" });
const transport = () => new StreamableHTTPClientTransport(new URL(server), { authProvider });
const first = transport();
try {
  await assistant.connect(first);
  throw new Error("The server asks for no token.");
} catch (error) {
  if (!(error instanceof UnauthorizedError)) throw error;
}
const [request, response] = await once(listener, "request");
response.end("You can close this window.");
await first.finishAuth(new URL(request.url, server).searchParams.get("code"));
const connected = transport();
await assistant.connect(connected);
const people = [];
for (const _time of [1, 2]) {
  const { content } = await assistant.callTool({ name: "whoami", arguments: {} });
  people.push(content[0].text);
  kept.tokens = { ...kept.tokens, access_token: `${kept.tokens.access_token}x` };
}
console.log(JSON.stringify({ people, token: kept.tokens.access_token.slice(0, -1) }));
await assistant.close();
listener.close();
