/** The site cannot be reached, or cannot answer now. Nobody is signed out by that. */
export class Away extends Error {}

/** The site has refused what a person entered. */
export class Refused extends Error {
  status: number
  code: string | undefined
  body: Record<string, unknown>
}

/** `new`: before `start`. `away`: the site cannot be reached, and the module tries again by itself. */
export type State = 'new' | 'in' | 'out' | 'away'

/** What is missing after the first step of a sign-in. `options` are those of `passkey`. */
export interface SecondStep {
  challenge: string
  methods: string[]
  options?: object
  url: string
}

export type Proof = { password: string } | { code: string } | 'passkey'

export interface Options {
  /** Called when the state changes, also by another tab, and when somebody signs in. */
  onState?: (state: State) => void
  /** Asks the person for one of `methods`, because a call needs a recent proof; null gives up. */
  onStepUp?: (methods: string[]) => Promise<Proof | null> | Proof | null
  /** Milliseconds before an unanswered request is repeated. */
  pauses?: number[]
}

export interface Accounts {
  readonly state: State
  /** Finds out whether somebody is signed in, and calls `onState`. Never rejects. */
  start(): Promise<boolean>
  /** Calls the API; renews the access token, or asks for a recent proof. Rejects with `Away`. */
  call(method: string, path: string, body?: object, headers?: Record<string, string>): Promise<Response>
  /** Calls `POST` with the `Idempotency-Key` `key`, and repeats it if the answer is lost, which creates nothing twice. */
  create(path: string, body?: object, key?: string): Promise<Response>
  /** Signs in, or returns what is missing. Rejects with `Refused` or `Away`. */
  signIn(fields: { username: string; password: string } | { challenge: string; code: string }): Promise<SecondStep | null>
  /** Emails a code for the second step. */
  mailCode(challenge: string): Promise<null>
  /** Signs in with a passkey alone or, with `challenge` and `options`, as the second step. */
  signInByPasskey(challenge?: string, options?: object): Promise<SecondStep | null>
  signOut(): Promise<void>
}

/** Connects the page to the site at `origin`, such as `https://accounts.example.org`. */
export function connect(origin: string, options?: Options): Accounts
