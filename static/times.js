// Times as intervals while they are young, and in the zone of the device if its owner has chosen
// none. Without this file they are in the chosen zone, or UTC. The formats are those of
// authsite/formats.

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const page = document.documentElement.lang
const language = page === 'en' ? 'en-GB' : page
const comma = { ar: '، ', ja: ' ' }[page] ?? ', '

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
const time = format({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const zoned = format({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZoneName: 'short' })
const weekday = format({ weekday: 'long' })
const monthDay = format({ day: 'numeric', month: 'long' })
const full = format({ dateStyle: 'full', timeStyle: 'long' })
const ago = new Intl.RelativeTimeFormat(language, { numeric: 'auto' })

// Swedish dates are ISO 8601: days of that zone become numbers.
const iso = new Intl.DateTimeFormat('sv', { timeZone })
const day = when => Date.parse(iso.format(when)) / DAY
const daysSince = when => day(Date.now()) - day(when)

const capitalized = words => words[0].toLocaleUpperCase(language) + words.slice(1)
const near = days => capitalized(ago.format(-days, 'day'))

const moment = when => {
  const days = daysSince(when)
  const words = days < 0 || days > 6 ? date.format(when) : days > 1 ? capitalized(weekday.format(when)) : near(days)
  return words + comma + time.format(when)
}

const interval = when => {
  const age = Date.now() - when
  if (Math.abs(age) < MINUTE) return ago.format(0, 'second')
  // Ahead of this device's clock: one of the two is wrong, so nothing is counted.
  if (age < 0 || age >= DAY) return moment(when)
  return age < HOUR
    ? ago.format(-Math.floor(age / MINUTE), 'minute')
    : ago.format(-Math.floor(age / HOUR), 'hour')
}

const heading = when => {
  const days = daysSince(when)
  if (days === 0 || days === 1) return near(days)
  const isThisYear = iso.format(when).slice(0, 4) === iso.format(Date.now()).slice(0, 4)
  return capitalized(weekday.format(when)) + comma + (isThisYear ? monthDay : date).format(when)
}

const styles = {
  date: when => date.format(when),
  day: moment,
  since: when => capitalized(interval(when)),
  time: when => time.format(when),
  until: when => [capitalized(weekday.format(when)), date.format(when), zoned.format(when)].join(comma)
}

const show = () => {
  for (const element of document.querySelectorAll('time[data-when]')) {
    const when = new Date(element.dateTime)
    element.textContent = (styles[element.dataset.when] ?? interval)(when)
    element.title = full.format(when)
  }
}

// The page has grouped its rows by the days of the chosen zone, or UTC: group them by the device's.
const regroup = days => {
  const rows = [...days.querySelectorAll(':scope > section > ul > li')]
  const blank = days.firstElementChild.cloneNode(true)
  blank.querySelector('ul').replaceChildren()
  const sections = []
  for (const row of rows) {
    const when = new Date(row.querySelector('time').dateTime)
    if (sections.at(-1)?.day !== day(when)) {
      const section = blank.cloneNode(true)
      const title = section.querySelector('h2')
      title.textContent = heading(when)
      title.id = `day-${sections.length + 1}`
      section.setAttribute('aria-labelledby', title.id)
      sections.push({ day: day(when), section })
    }
    sections.at(-1).section.querySelector('ul').append(row)
  }
  days.replaceChildren(...sections.map(({ section }) => section))
}

const days = document.querySelector('[data-days]')
if (days?.firstElementChild && !timeZone) regroup(days)
show()
setInterval(show, MINUTE)
