// Signs people in at authsite from a page of your own, and calls the API for them.
// Types: authsite-1.d.ts. The refresh token is in a cookie that no script can read.

// The site cannot be reached, or cannot answer now. Nobody is signed out by that.
export class Away extends Error {}

// The site has refused what a person entered; `body` is its answer.
export class Refused extends Error {
  constructor(status, body) {
    super(body.detail ?? Object.values(body).flat().join(' '))
    Object.assign(this, { status, body, code: body.code })
  }
}

const UNAVAILABLE = 'The accounts are not available.'
const pause = milliseconds => new Promise(done => setTimeout(done, milliseconds))

async function assertion(options) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options)
  return (await navigator.credentials.get({ publicKey })).toJSON()
}

export function connect(origin, { onState = () => {}, onStepUp = () => null, pauses = [300, 1500] } = {}) {
  const name = `authsite ${origin}`
  const tabs = new BroadcastChannel(name)
  let access = null
  let renewing = null
  let state = 'new'
  let timer

  function enter(next) {
    state = next
    onState(next)
  }

  // Without an answer, nobody knows who is signed in: ask again later.
  function leave(error) {
    clearTimeout(timer)
    timer = setTimeout(resume, 5000)
    if (state !== 'away') enter('away')
    throw error
  }

  // Another tab has signed in or out, or has renewed the token.
  tabs.onmessage = ({ data }) => {
    access = data.access
    if (data.state !== state || data.isNew) enter(data.state)
  }
  const tell = (next, isNew = false) => tabs.postMessage({ access, state: next, isNew })

  // An answer that is lost is asked for again if that does no harm.
  async function send(method, path, body, headers, credentials = 'omit') {
    const isSafe = method === 'GET' || credentials === 'include' || 'Idempotency-Key' in headers
    for (const wait of isSafe ? [...pauses, null] : [null]) {
      const answer = await fetch(`${origin}/api/v1/${path}`, {
        method,
        credentials,
        headers: { ...(body && { 'Content-Type': 'application/json' }), ...headers },
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout(20_000)
      }).catch(() => null)
      if (answer && answer.status < 500) return answer
      if (wait === null) throw new Away(UNAVAILABLE)
      await pause(wait)
    }
  }

  // The calls that use the cookie, one at a time in all tabs: a cookie that is sent twice looks stolen.
  const locked = act => navigator.locks.request(name, act)
  const session = (method, path, body) =>
    send(method, `session/${path}`, body, { 'X-Requested-With': 'authsite' }, 'include')

  function renew() {
    const before = access
    renewing ??= locked(async () => {
      // Another tab may have renewed it while this one waited.
      if (access && access !== before) return true
      const answer = await session('POST', 'refresh/')
      if (!answer.ok && answer.status !== 401) throw new Away(UNAVAILABLE)
      access = answer.ok ? (await answer.json()).access : null
      const next = access ? 'in' : 'out'
      tell(next)
      if (state !== next) enter(next)
      return access !== null
    }).catch(leave).finally(() => { renewing = null })
    return renewing
  }

  const start = () => renew().catch(() => false)
  const resume = () => state === 'away' && start()
  addEventListener('online', resume)

  const signIn = fields => locked(async () => {
    const answer = await session('POST', '', fields)
    if (answer.status === 202) return null
    const said = await answer.json()
    if (said.code === 'second_factor_required') return said
    if (!answer.ok) throw new Refused(answer.status, said)
    access = said.access
    tell('in', true)
    enter('in')
    return null
  })

  const once = (method, path, body, headers) =>
    send(method, path, body, { ...headers, ...(access && { Authorization: `Bearer ${access}` }) }).catch(leave)

  async function stepUp() {
    const { methods, options } = await (await once('GET', 'reauthenticate/')).json()
    const shown = await onStepUp(methods)
    if (!shown) return false
    const proof = shown === 'passkey' ? { credential: await assertion(options) } : shown
    const answer = await once('POST', 'reauthenticate/', proof)
    if (!answer.ok) throw new Refused(answer.status, await answer.json())
    return true
  }

  async function call(...request) {
    if (!access && !await renew()) return once(...request)
    const answer = await once(...request)
    if (answer.status !== 401) return answer
    const { code } = await answer.clone().json()
    const act = code === 'insufficient_user_authentication' ? stepUp : renew
    return await act() ? once(...request) : answer
  }

  return {
    get state() { return state },
    start,
    call,
    create: (path, body, key = crypto.randomUUID()) => call('POST', path, body, { 'Idempotency-Key': key }),
    signIn,
    mailCode: challenge => signIn({ challenge, method: 'email' }),
    async signInByPasskey(challenge, options) {
      options ??= await (await send('POST', 'passkeys/options/', undefined, {})).json()
      return signIn({ ...(challenge && { challenge }), credential: await assertion(options) })
    },
    signOut: () => locked(async () => {
      const answer = await session('DELETE', '')
      if (!answer.ok) throw new Refused(answer.status, await answer.json())
      access = null
      tell('out')
      enter('out')
    })
  }
}
