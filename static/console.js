// Swagger UI on the site's own description; asks nobody else whether it's valid.
if (matchMedia("(prefers-color-scheme: dark)").matches) {
  document.documentElement.classList.add("dark-mode");
}
const place = document.getElementById("api");
window.SwaggerUIBundle({
  url: place.dataset.description,
  domNode: place,
  deepLinking: true,
  validatorUrl: null,
  presets: [window.SwaggerUIBundle.presets.apis],
  // What it draws has no name for a field and no landmarks, skips a level of headings, and has links in buttons.
  onComplete() {
    const title = place.querySelector(".servers-title")?.textContent;
    place.querySelector("#servers")?.setAttribute("aria-label", title);
    place.querySelector(".schemes-server-container")?.setAttribute("role", "navigation");
    place.querySelector(".information-container")?.setAttribute("role", "banner");
    for (const tag of place.querySelectorAll("h3, .models > h4")) tag.setAttribute("aria-level", "2");
    for (const link of place.querySelectorAll("button a[href]")) link.removeAttribute("href");
  },
});
