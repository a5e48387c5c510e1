// Progressive enhancement: every page works without this file.

const say = text => { document.getElementById('live').textContent = text }

// Password managers and autofill know the field by its type: hidden again before it is sent.
for (const button of document.querySelectorAll('[data-reveal]')) {
  const input = document.getElementById(button.getAttribute('aria-controls'))
  const show = on => {
    input.type = on ? 'text' : 'password'
    button.setAttribute('aria-pressed', on)
  }
  button.addEventListener('click', () => show(input.type === 'password'))
  input.form.addEventListener('submit', () => show(false))
  button.hidden = false
}

// Counts down to a button's next use. Counted by the clock: timers sleep in hidden tabs.
for (const wait of document.querySelectorAll('[data-wait]')) {
  const button = document.getElementById(wait.dataset.for)
  const time = wait.querySelector('time:not([data-when])')
  const end = Date.now() + wait.dataset.wait * 1000
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000)
    if (left > 0) {
      time.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`
      return
    }
    clearInterval(timer)
    wait.hidden = true
    button.disabled = false
    say(wait.dataset.done)
  }
  const timer = setInterval(tick, 500)
  button.disabled = true
  tick()
}

// A change can be undone for some seconds.
for (const button of document.querySelectorAll('[data-seconds]')) {
  setTimeout(() => { button.hidden = true }, button.dataset.seconds * 1000)
}

// An old error goes when its field changes.
for (const input of document.querySelectorAll('[aria-invalid]')) {
  input.addEventListener('input', () => {
    document.getElementById(`${input.id}_error`)?.remove()
    input.removeAttribute('aria-invalid')
  }, { once: true })
}

// While the menu is a drawer, Tab stays in it. `beforetoggle` is in time for the button to get the focus.
const drawer = document.querySelector('[popover]')
drawer?.addEventListener('beforetoggle', event => {
  for (const other of drawer.parentElement.children) {
    if (other !== drawer) other.inert = event.newState === 'open'
  }
})

// A typed or pasted code is sent at its last digit. Deleting a digit sends nothing.
for (const input of document.querySelectorAll('[data-digits]')) {
  input.addEventListener('input', event => {
    const code = input.value.replace(/[\s-]/g, '')
    if (/^\d+$/.test(code) && code.length === Number(input.dataset.digits) && !event.inputType?.startsWith('delete')) input.form.requestSubmit(input.form.querySelector('button'))
  })
}

// Double clickjacking: another site covers this page with a window, and closes the window at the first
// click of a double click. The second click then presses the button. Therefore the button works only
// after this page has had the focus for a moment.
for (const button of document.querySelectorAll('[data-deliberate]')) {
  let timer
  const lock = () => {
    clearTimeout(timer)
    button.disabled = true
  }
  const unlockSoon = () => {
    lock()
    timer = setTimeout(() => { button.disabled = false }, 700)
  }
  addEventListener('blur', lock)
  addEventListener('focus', unlockSoon)
  document.hasFocus() ? unlockSoon() : lock()
}

if (document.querySelector('[data-strength]')) import('./strength.js')
if (document.querySelector('[data-passkey], [data-needs-passkey], [data-signal]')) import('./passkeys.js')

document.querySelector('[data-summary]')?.focus()
