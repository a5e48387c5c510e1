// Django's filter boxes name an icon by `aria-label`, which ARIA allows only with a role.

addEventListener('load', () => {
  for (const icon of document.querySelectorAll('.search-label-icon')) icon.setAttribute('role', 'img')
})
