// Copying and printing what a person is to keep. The page works without this file.

// What is shown once must not come back with the back button, even from the browser's page cache.
addEventListener('pagehide', () => document.querySelectorAll('[data-once]').forEach(shown => shown.remove()))

const say = text => { document.getElementById('live').textContent = text }

for (const button of document.querySelectorAll('[data-copy]')) {
  if (!navigator.clipboard) continue
  const source = document.getElementById(button.dataset.copy)
  const items = [...source.querySelectorAll('li')].map(item => item.textContent)
  const label = button.textContent
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(items.length ? items.join('\n') : source.textContent)
      button.textContent = button.dataset.done
      say(button.dataset.done)
    } catch {
      // Refused: what is selected can be copied by hand.
      getSelection().selectAllChildren(source)
    }
  })
  button.addEventListener('blur', () => { button.textContent = label })
  button.hidden = false
}

for (const button of document.querySelectorAll('[data-print]')) {
  button.addEventListener('click', () => print())
  button.hidden = false
}
