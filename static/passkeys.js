// Passkeys. Each API is tested for before it's called; without it, its buttons stay hidden.

const say = text => { document.getElementById('live').textContent = text }
const bytes = text => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), c => c.charCodeAt(0))
const text = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

// WebAuthn Level 3 has both ways of these; older browsers take and give buffers only.
const descriptors = list => list?.map(item => ({ ...item, id: bytes(item.id) }))
const toCreate = json => PublicKeyCredential.parseCreationOptionsFromJSON?.(json) ?? {
  ...json,
  challenge: bytes(json.challenge),
  user: { ...json.user, id: bytes(json.user.id) },
  excludeCredentials: descriptors(json.excludeCredentials)
}
const toGet = json => PublicKeyCredential.parseRequestOptionsFromJSON?.(json) ?? {
  ...json,
  challenge: bytes(json.challenge),
  allowCredentials: descriptors(json.allowCredentials)
}
// Not the browser's own toJSON: keepers that stand in for the browser often lack it.
const toJSON = credential => {
  const { response } = credential
  const fields = ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']
  const found = fields.filter(field => response[field]).map(field => [field, text(response[field])])
  const transports = response.getTransports?.()
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: { ...Object.fromEntries(found), ...(transports && { transports }) }
  }
}

const isThere = window.PublicKeyCredential && navigator.credentials
// The challenge of the page is good for some minutes, and once.
let since = Date.now()
let isSent = false
const isOld = form => Date.now() - since > form.dataset.life * 1000

// A browser has one request at a time: the next one ends that of autofill.
let waiting
const begin = () => {
  waiting?.abort()
  waiting = new AbortController()
  return waiting.signal
}

// The page anew, by GET whatever made this one; what was pressed goes on there.
const KEPT = 'passkey'
const typed = form => form.elements.name ?? form.elements.reason
const renew = form => {
  if (form) sessionStorage.setItem(KEPT, typed(form)?.value ?? '')
  location.replace(location.href)
}

const send = (form, credential) => {
  form.elements.credential.value = JSON.stringify(toJSON(credential))
  const box = document.querySelector('input[type=checkbox][name=remember]')
  if (box?.checked && form.elements.remember) form.elements.remember.value = 'on'
  isSent = true
  form.submit()
}

const tellProblem = (form, error) => {
  const problem = form.querySelector('[data-problem]')
  problem.textContent = error.name === 'InvalidStateError' ? problem.dataset.there : problem.dataset.problem
  problem.hidden = false
  say(problem.textContent)
}

const ask = async form => {
  if (isSent) return
  if (isOld(form)) {
    renew(form)
    return
  }
  const json = JSON.parse(form.dataset.passkey)
  const signal = begin()
  form.querySelector('[data-problem]').hidden = true
  try {
    send(form, await (json.user
      ? navigator.credentials.create({ publicKey: toCreate(json), signal })
      : navigator.credentials.get({ publicKey: toGet(json), signal })))
  } catch (error) {
    if (error.name === 'AbortError') return
    tellProblem(form, error)
    autofill(form)
  }
}

// Passkeys among the names that the browser offers in a field. Nobody has asked for that: where
// it fails, nothing is said.
const autofill = async form => {
  if (!('autofill' in form.dataset)) return
  if (!await PublicKeyCredential.isConditionalMediationAvailable?.()) return
  const signal = begin()
  const end = setTimeout(() => waiting.signal === signal && waiting.abort(), since + form.dataset.life * 1000 - Date.now())
  try {
    const publicKey = toGet(JSON.parse(form.dataset.passkey))
    send(form, await navigator.credentials.get({ publicKey, signal, mediation: 'conditional' }))
  } catch {
    clearTimeout(end)
  }
}

const forms = document.querySelectorAll('form[data-passkey]')
if (isThere) {
  for (const form of forms) {
    form.addEventListener('submit', event => {
      event.preventDefault()
      ask(form)
    })
    form.hidden = false
  }
  for (const element of document.querySelectorAll('[data-needs-passkey]')) element.hidden = false
} else {
  for (const element of document.querySelectorAll('[data-without-passkey]')) element.hidden = false
  for (const element of document.querySelectorAll('.first')) element.remove()
}

if (isThere && forms.length) {
  const [form] = forms
  const kept = sessionStorage.getItem(KEPT)
  sessionStorage.removeItem(KEPT)
  if (kept !== null) {
    if (typed(form)) typed(form).value = kept
    ask(form)
  } else {
    autofill(form)
  }
  // Back from the next page, or to a tab that was left open: what it has is of no use any more.
  addEventListener('pageshow', event => {
    if (!event.persisted) return
    isSent = false
    since = 0
  })
  document.addEventListener('visibilitychange', () => {
    const isTyped = Array.from(document.querySelectorAll('.input')).some(input => input.value)
    if ('autofill' in form.dataset && !document.hidden && isOld(form) && !isTyped) renew()
  })
}

// The Signal API: the keeper of passkeys learns which are still good, and the person's names.
const signals = document.querySelector('[data-signal]')
if (signals && isThere) {
  const { rpId, userId, name, displayName, accepted, unknown } = JSON.parse(signals.dataset.signal)
  const tell = (method, options) => PublicKeyCredential[method]?.(options).catch(() => {})
  if (unknown) tell('signalUnknownCredential', { rpId, credentialId: unknown })
  if (accepted) tell('signalAllAcceptedCredentials', { rpId, userId, allAcceptedCredentialIds: accepted })
  if (name) tell('signalCurrentUserDetails', { rpId, userId, name, displayName })
}
