// Django's filter boxes name an icon by `aria-label`, which ARIA allows only with a role.
// The search field of a list has an icon as its label; with a help text, it needs a name of its own.

addEventListener('load', () => {
  for (const icon of document.querySelectorAll('.search-label-icon')) icon.setAttribute('role', 'img')
  const search = document.querySelector('label[for=searchbar] img')
  if (search) document.getElementById('searchbar').ariaLabel = search.alt
})

// A slash leads to the search for people, unless somebody types it into a field, or has switched it off
// in this browser (WCAG 2.1.4): speech recognition types letters that nobody has meant.
const slash = document.getElementById('slash')
const isOn = () => localStorage.getItem('slash') !== 'off'
if (slash) {
  slash.checked = isOn()
  slash.parentElement.hidden = false
  slash.addEventListener('change', () => localStorage.setItem('slash', slash.checked ? 'on' : 'off'))
}
addEventListener('keydown', event => {
  const isTyped = event.target.closest('input, textarea, select, [contenteditable]')
  if (event.key !== '/' || isTyped || event.ctrlKey || event.metaKey || event.altKey || !isOn()) return
  const search = document.getElementById('find') ?? document.getElementById('searchbar')
  if (!search) return
  event.preventDefault()
  search.focus()
})

// On a phone, each cell of a list stands beside the name of its column.
addEventListener('load', () => {
  const names = [...document.querySelectorAll('#result_list thead th')].map(head => head.innerText.trim())
  for (const row of document.querySelectorAll('#result_list tbody tr')) {
    for (const [place, cell] of [...row.cells].entries()) cell.dataset.label = names[place]
  }
})

// The page of a bulk act lets the site act on one batch after the other until nobody is left.
async function actOnNextBatch () {
  const form = document.querySelector('form[data-continue]')
  if (!form) return
  const answer = await fetch(form.action, { method: 'POST', body: new FormData(form) })
  if (!answer.ok) return
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
  const [shown, next] = [document, page].map(each => each.querySelector('#progress'))
  if (!next?.querySelector('form[data-continue]')) return location.reload()
  for (const name of ['strong', 'progress']) shown.querySelector(name).replaceWith(next.querySelector(name))
  actOnNextBatch()
}
addEventListener('load', actOnNextBatch)
