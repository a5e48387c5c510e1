// Times in words while they are young, and in the zone of the device if its owner has chosen none.
// Without this file they are in the chosen zone, or UTC.

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

// The reader's region, but the page's language: the words around a time are in it.
const page = document.documentElement.lang
const language = navigator.languages.find(tag => tag.split('-')[0] === page.split('-')[0]) ?? page

// What wasn't chosen is UTC. A browser may be older than a zone, and then takes its own.
const { zone } = document.documentElement.dataset
const isKnown = zone => {
  try {
    return Boolean(new Intl.DateTimeFormat(language, { timeZone: zone }))
  } catch {
    return false
  }
}
const timeZone = zone !== 'UTC' && isKnown(zone) ? zone : undefined

const format = options => new Intl.DateTimeFormat(language, { timeZone, ...options })
const date = format({ dateStyle: 'long' })
const time = format({ timeStyle: 'short' })
const moment = format({ dateStyle: 'medium', timeStyle: 'short' })
const full = format({ dateStyle: 'full', timeStyle: 'long' })
const ago = new Intl.RelativeTimeFormat(language, { numeric: 'auto' })

// Swedish dates are ISO 8601: days of that zone become numbers.
const iso = new Intl.DateTimeFormat('sv', { timeZone })
const day = when => Date.parse(iso.format(when)) / DAY

const words = when => {
  const age = Date.now() - when
  if (Math.abs(age) < MINUTE) return ago.format(0, 'second')
  // Ahead of this device's clock: one of the two is wrong, so nothing is counted.
  if (age < 0) return moment.format(when)
  if (age < HOUR) return ago.format(-Math.floor(age / MINUTE), 'minute')
  if (age < DAY) return ago.format(-Math.floor(age / HOUR), 'hour')
  const days = day(Date.now()) - day(when)
  return days < 7 ? `${ago.format(-days, 'day')}, ${time.format(when)}` : moment.format(when)
}

const show = () => {
  for (const element of document.querySelectorAll('time[data-when]')) {
    const when = new Date(element.dateTime)
    element.textContent = element.dataset.when === 'date' ? date.format(when) : words(when)
    element.title = full.format(when)
  }
}

show()
setInterval(show, MINUTE)
