// Swagger UI on the site's own description; asks nobody else whether it's valid.
const scheme = document.querySelector("meta[name=color-scheme]").content;
if (scheme === "dark" || (scheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches)) {
  document.documentElement.classList.add("dark-mode");
}
const place = document.getElementById("api");

// What it draws has texts outside of landmarks, fields and buttons without a name, levels of headings left out, and links in buttons.
function amend() {
  const set = (selector, name, value) => {
    for (const one of place.querySelectorAll(selector)) one.setAttribute(name, value);
  };
  set(".information-container", "role", "region");
  set(".information-container", "aria-label", document.title);
  set(".schemes-server-container", "role", "navigation");
  set("h3, .models > h4", "aria-level", "2");
  set(":not(.models) > h4", "aria-level", "3");
  set("#servers", "aria-label", "Servers");
  set("textarea", "aria-label", "Request body");
  set(".modal-ux", "role", "dialog");
  set(".modal-ux", "aria-label", "Credentials");
  set(".close-modal", "aria-label", "Close");
  for (const link of place.querySelectorAll("button a[href]")) link.removeAttribute("href");
}
new MutationObserver(amend).observe(place, { childList: true, subtree: true });

window.SwaggerUIBundle({
  url: place.dataset.description,
  domNode: place,
  deepLinking: true,
  validatorUrl: null,
  presets: [window.SwaggerUIBundle.presets.apis],
});
