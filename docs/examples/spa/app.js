// A page that signs people in with authsite and calls the API for them, by the site's own module.
//
// The refresh token is in a cookie that no script can read, including this one. The access token is
// in a variable of the module. After a reload, the cookie gets a new access token.

const AWAY = 'The accounts can’t be reached. This page tries again by itself.'
const find = id => document.getElementById(id)

let challenge = null
let options = null

// Without the module, the page can only be loaded again.
const { Away, connect } = await import('http://localhost:8000/client/authsite-1.js').catch(() => {
  show('', AWAY)
  setTimeout(() => location.reload(), 5000)
  return new Promise(() => {})
})

export const accounts = connect('http://localhost:8000', { onState, onStepUp })

function onState(state) {
  if (state === 'in') return attempt(showAccount)
  if (state === 'out') return show('sign-in')
  show('', AWAY)
}

function show(id, message = '') {
  for (const form of document.forms) form.reset()
  for (const part of ['sign-in', 'second-step', 'account', 'step-up']) find(part).hidden = part !== id
  find('message').textContent = message
}

// Keeps what was typed, so that the person can correct it.
async function attempt(act) {
  try {
    await act()
  } catch (error) {
    // The page says already that the accounts cannot be reached.
    if (error instanceof Away && accounts.state === 'away') return
    if (accounts.state === 'in') return show('account', error.message)
    find('message').textContent = error.message
    if (error.code === 'invalid_challenge') show('sign-in', error.message)
  }
}

function goOn(step) {
  if (!step) return
  ({ challenge, options } = step)
  show('second-step')
  find('mail').hidden = !step.methods.includes('email')
  find('key').hidden = !options
}

async function showAccount() {
  const answer = await accounts.call('GET', 'me/')
  if (!answer.ok) return
  const me = await answer.json()
  // As text, never as HTML: a name may contain a script.
  find('name').textContent = me.display_name || me.username
  const places = await (await accounts.call('GET', 'sessions/')).json()
  find('places').replaceChildren(...places.results.map(place => {
    const item = document.createElement('li')
    item.textContent = `${place.device}${place.is_current ? ' (here)' : ''}`
    return item
  }))
  show('account')
}

function on(id, type, act) {
  find(id).addEventListener(type, event => {
    event.preventDefault()
    attempt(() => act(Object.fromEntries(type === 'submit' ? new FormData(event.target) : [])))
  })
}

on('sign-in', 'submit', async fields => goOn(await accounts.signIn(fields)))
on('passkey', 'click', async () => goOn(await accounts.signInByPasskey()))
on('second-step', 'submit', async fields => goOn(await accounts.signIn({ challenge, ...fields })))
on('key', 'click', async () => goOn(await accounts.signInByPasskey(challenge, options)))
on('mail', 'click', async () => {
  await accounts.mailCode(challenge)
  find('message').textContent = 'A mail with a code is on its way.'
})
on('sign-out', 'click', accounts.signOut)
on('sign-out-everywhere', 'click', async () => {
  const answer = await accounts.call('POST', 'sessions/others/', {})
  if (answer.ok) await accounts.signOut()
  else show('account', 'That failed. Try again.')
})

// The module asks for a recent proof if the last one is older than ten minutes.
function onStepUp(methods) {
  if (methods.includes('passkey')) return 'passkey'
  show('step-up', 'Show that it’s you.')
  return new Promise(resolve => {
    find('proof').name = methods.includes('password') ? 'password' : 'code'
    find('step-up').onsubmit = event => {
      event.preventDefault()
      resolve(Object.fromEntries(new FormData(event.target)))
    }
  })
}

on('rename', 'submit', async fields => {
  const answer = await accounts.call('PATCH', 'me/', fields)
  if (!answer.ok) throw new Error((await answer.json()).detail)
  await showAccount()
})

accounts.start()
