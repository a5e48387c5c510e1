// Suggests time zones in the field where a person types one.

const list = document.createElement('datalist')
list.id = 'time-zones'
const zones = Intl.supportedValuesOf?.('timeZone') ?? []
list.append(...zones.filter(zone => !zone.startsWith('Etc/')).map(zone => new Option(zone.replaceAll('_', ' '))))
const input = document.getElementById('id_time_zone')
input.setAttribute('list', list.id)
input.after(list)
