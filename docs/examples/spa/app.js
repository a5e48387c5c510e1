// A page that signs people in with authsite and calls the API for them. No library.
//
// The refresh token is in a cookie that no script can read, including this one. The access token is
// in a variable of this module. After a reload, the cookie gets a new access token.

const ACCOUNTS = document.querySelector('meta[name=accounts]').content
const API = `${ACCOUNTS}/api/v1/`
const find = id => document.getElementById(id)

let access = null
let renewing = null
let challenge = null

// Tells the other tabs of this page when somebody signs in or out.
const tabs = new BroadcastChannel('session')
tabs.onmessage = ({ data }) => {
  access = null
  if (data === 'begun') return location.reload()
  show('sign-in', 'You signed out in another tab.')
}

function send(method, path, body, headers, credentials) {
  return fetch(API + path, {
    method,
    credentials,
    headers: { ...(body && { 'Content-Type': 'application/json' }), ...headers },
    body: body && JSON.stringify(body)
  })
}

// The calls that send the cookie. No form can send this header.
const session = (method, path = '', body) =>
  send(method, `session/${path}`, body, { 'X-Requested-With': 'authsite' }, 'include')

// Refresh once at a time in all tabs: a cookie that is used twice looks stolen. Calls that need a
// token meanwhile wait for the same refresh.
function renew() {
  renewing ??= navigator.locks.request('renew', async () => {
    const answer = await session('POST', 'refresh/')
    access = answer.ok ? (await answer.json()).access : null
    return access !== null
  }).finally(() => { renewing = null })
  return renewing
}

// Any other call: with the access token; if it has expired, once more with a new one.
export async function call(method, path, body) {
  const once = () => send(method, path, body, { Authorization: `Bearer ${access}` }, 'omit')
  const answer = await once()
  if (answer.status !== 401) return answer
  if (await renew()) return once()
  show('sign-in', 'Sign in again.')
  return answer
}

async function begin(answer) {
  const said = await answer.json()
  if (answer.ok) {
    access = said.access
    challenge = null
    tabs.postMessage('begun')
    return showAccount()
  }
  if (said.code === 'second_factor_required') {
    challenge = said.challenge
    find('mail').hidden = !said.methods.includes('email')
    find('methods').textContent = said.methods.length
      ? 'Enter a code from your app, or a recovery code.'
      : 'Your account opens with a passkey only: sign in on the site itself.'
    return show('second-step')
  }
  // Keep what was typed, so that the person can correct it.
  find('message').textContent = said.detail ?? Object.values(said).flat().join(' ')
  if (said.code === 'invalid_challenge') show('sign-in', said.detail)
}

function show(id, message = '') {
  for (const form of document.forms) form.reset()
  for (const part of ['sign-in', 'second-step', 'account']) find(part).hidden = part !== id
  find('message').textContent = message
}

async function showAccount() {
  const answer = await call('GET', 'me/')
  if (!answer.ok) return
  const me = await answer.json()
  // As text, never as HTML: a name may contain a script.
  find('name').textContent = me.display_name || me.username
  const places = await (await call('GET', 'sessions/')).json()
  find('places').replaceChildren(...places.results.map(place => {
    const item = document.createElement('li')
    item.textContent = `${place.device}${place.is_current ? ' (here)' : ''}`
    return item
  }))
  show('account')
}

function onSubmit(id, act) {
  find(id).addEventListener('submit', event => {
    event.preventDefault()
    act(Object.fromEntries(new FormData(event.target)))
  })
}

onSubmit('sign-in', async fields => begin(await session('POST', '', fields)))
onSubmit('second-step', async fields => begin(await session('POST', '', { challenge, ...fields })))

find('mail').addEventListener('click', async () => {
  const answer = await session('POST', '', { challenge, method: 'email' })
  if (!answer.ok) return begin(answer)
  find('message').textContent = 'A mail with a code is on its way.'
})

async function signOut() {
  const answer = await session('DELETE')
  if (!answer.ok) return show('account', 'That failed. Try again.')
  access = null
  tabs.postMessage('ended')
  show('sign-in', 'You’re signed out.')
}
find('sign-out').addEventListener('click', signOut)

find('sign-out-everywhere').addEventListener('click', async () => {
  // Revoke one page of the list at a time, until only this session is left.
  for (;;) {
    const answer = await call('GET', 'sessions/')
    if (!answer.ok) return
    const others = (await answer.json()).results.filter(place => !place.is_current)
    if (!others.length) return signOut()
    const ended = await Promise.all(others.map(place => call('DELETE', `sessions/${place.id}/`)))
    if (!ended.every(one => one.ok || one.status === 404)) return show('account', 'That failed. Try again.')
  }
})

// After a reload, only the cookie knows whether somebody is signed in.
if (await renew()) await showAccount()
else show('sign-in')
