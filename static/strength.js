// Says how strong the new password is: the server knows, a pause in typing asks it.

const PAUSE_MS = 400
const STRONG = 4
// As long as two groups of five of a suggested password are left.
const SUGGESTED = /[a-z2-9]{5}-[a-z2-9]{5}/

const box = document.querySelector('[data-strength]')
const [meter, status] = box.children
const input = document.getElementById(box.dataset.for)
const { form } = input
let timer, question

const show = (score, text) => {
  meter.hidden = score === undefined
  meter.value = score ?? 0
  status.textContent = text
}

const ask = async () => {
  question = new AbortController()
  const body = new URLSearchParams({
    csrfmiddlewaretoken: form.elements.csrfmiddlewaretoken.value,
    password: input.value,
  })
  for (const word of form.querySelectorAll('[autocomplete=username], [autocomplete=email]')) body.append('word', word.value)
  try {
    const answer = await fetch(box.dataset.strength, { method: 'POST', body, signal: question.signal })
    if (!answer.ok) return show(undefined, '')
    const { score, label, advice } = await answer.json()
    show(score, `${label} ${advice}`)
  } catch (error) {
    if (error.name !== 'AbortError') show(undefined, '')
  }
}

input.addEventListener('input', () => {
  clearTimeout(timer)
  question?.abort()
  if (!SUGGESTED.test(input.value)) delete input.dataset.suggested
  // A suggested password, changed or not, doesn't leave the browser before the form is sent.
  if (!input.value) show(undefined, '')
  else if ('suggested' in input.dataset) show(STRONG, box.dataset.suggested)
  else timer = setTimeout(ask, PAUSE_MS)
})
form.addEventListener('submit', () => {
  clearTimeout(timer)
  question?.abort()
})
input.setAttribute('aria-describedby', `${input.getAttribute('aria-describedby') ?? ''} ${status.id}`.trim())
box.hidden = false
