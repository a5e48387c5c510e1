// A page that uses each export of the site's module, with its types.
import { Away, connect, Refused } from "./authsite-1.js";
import type { Accounts, Options, Proof, SecondStep, State } from "./authsite-1.js";

declare const process: { exit(): never };

const parts: Record<State, string> = { new: "", in: "account", out: "sign-in", away: "message" };

const options: Options = {
  onState: (state) => console.log(parts[state]),
  onStepUp: async (methods): Promise<Proof | null> =>
    methods.includes("passkey") ? "passkey" : methods.includes("totp") ? { code: "123456" } : null,
  pauses: [300, 1500],
};

export async function signIn(accounts: Accounts, username: string, password: string): Promise<string> {
  try {
    const step: SecondStep | null = await accounts.signIn({ username, password });
    if (step?.options) await accounts.signInByPasskey(step.challenge, step.options);
    else if (step) {
      await accounts.mailCode(step.challenge);
      await accounts.signIn({ challenge: step.challenge, code: "123456" });
    }
    await accounts.call("PATCH", "me/", { display_name: "Alice" }, { "If-Match": '"1"' });
    const made = await accounts.create("me/exports/");
    await accounts.signOut();
    return made.headers.get("Location") ?? "";
  } catch (error) {
    if (error instanceof Refused) return error.code ?? `${error.status} ${error.body["detail"]}`;
    if (error instanceof Away) return error.message;
    throw error;
  }
}

export const wrong = (accounts: Accounts) => [
  // @ts-expect-error the module sets the state
  (accounts.state = "in"),
  // @ts-expect-error a password without a username
  accounts.signIn({ password: "a lantern over six wet roofs" }),
];

// Node has no window. The module has exactly the members of its types.
globalThis.addEventListener = () => {};
const members: Record<keyof Accounts, true> = {
  state: true,
  start: true,
  call: true,
  create: true,
  signIn: true,
  mailCode: true,
  signInByPasskey: true,
  signOut: true,
};
const names = (object: object) => Object.keys(object).sort().join();
console.log(names(connect("http://localhost", options)) === names(members));
process.exit();
