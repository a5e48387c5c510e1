// Django's filter boxes name an icon by `aria-label`, which ARIA allows only with a role.
// The search field of a list has an icon as its label; with a help text, it needs a name of its own.

addEventListener('load', () => {
  for (const icon of document.querySelectorAll('.search-label-icon')) icon.setAttribute('role', 'img')
  const search = document.querySelector('label[for=searchbar] img')
  if (search) document.getElementById('searchbar').ariaLabel = search.alt
})
