// Times in the reader's zone, and in words while they are young. Without this file they are in UTC.

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

// The reader's region, but the page's language: the words around a time are in it.
const page = document.documentElement.lang
const language = navigator.languages.find(tag => tag.split('-')[0] === page.split('-')[0]) ?? page

const format = options => new Intl.DateTimeFormat(language, options)
const date = format({ dateStyle: 'long' })
const time = format({ timeStyle: 'short' })
const moment = format({ dateStyle: 'medium', timeStyle: 'short' })
const full = format({ dateStyle: 'full', timeStyle: 'long' })
const ago = new Intl.RelativeTimeFormat(language, { numeric: 'auto' })

const midnight = when => new Date(when).setHours(0, 0, 0, 0)

const words = when => {
  const age = Date.now() - when
  if (Math.abs(age) < MINUTE) return ago.format(0, 'second')
  // Ahead of this device's clock: one of the two is wrong, so nothing is counted.
  if (age < 0) return moment.format(when)
  if (age < HOUR) return ago.format(-Math.floor(age / MINUTE), 'minute')
  if (age < DAY) return ago.format(-Math.floor(age / HOUR), 'hour')
  // Rounded, since not every day has 24 hours.
  const days = Math.round((midnight(Date.now()) - midnight(when)) / DAY)
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
