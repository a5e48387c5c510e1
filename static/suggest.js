// Suggests a username and a strong password. Nothing leaves the browser until the form is sent.

// 32 characters, none that looks like another (0 o, 1 l). 256 is a multiple of 32, so that the
// remainder of a random byte is unbiased: 4 groups of 5 are 100 bits.
const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789'

const group = () => Array.from(crypto.getRandomValues(new Uint8Array(5)), byte => ALPHABET[byte % 32]).join('')

const row = document.querySelector('[data-suggest]')
const [button, status] = row.children
const input = document.getElementById(row.dataset.suggest)
const reveal = document.querySelector(`[data-reveal][aria-controls="${input.id}"]`)

button.addEventListener('click', () => {
  input.value = Array.from({ length: 4 }, group).join('-')
  input.dataset.suggested = ''
  input.dispatchEvent(new Event('input', { bubbles: true }))
  if (input.type === 'password') reveal.click()
  status.textContent = row.dataset.done
})
row.hidden = false

// The part before the @, with what usernames may have: see `accounts.users.usernames`.
const { email, username } = row.closest('form').elements
email?.addEventListener('change', () => {
  username.value ||= email.value.split('@')[0].split('+')[0].replace(/[^\p{L}\p{N}._-]/gu, '').slice(0, 30)
})
