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
  set(".filter", "role", "search");
  set(".operation-filter-input", "aria-label", "Search");
  set(".operation-filter-input", "placeholder", "Search");
  set("textarea", "aria-label", "Request body");
  set(".modal-ux", "role", "dialog");
  set(".modal-ux", "aria-label", "Credentials");
  set(".close-modal", "aria-label", "Close");
  for (const link of place.querySelectorAll("button a[href]")) link.removeAttribute("href");
}
new MutationObserver(amend).observe(place, { childList: true, subtree: true });

// Swagger UI itself searches only the names of groups, and has a sample only of a call that was sent.
const additions = {
  fn: {
    opsFilter: (groups, text) => groups.map(group => group.update("operations", calls => calls.filter(call => {
      const told = [call.get("path"), ...["summary", "description"].map(name => call.getIn(["operation", name]))];
      return told.join(" ").toLowerCase().includes(text.toLowerCase());
    }))).filter(group => group.get("operations").size),
  },
  wrapComponents: {
    responses: (Responses, { React, getComponent, specSelectors }) => props => {
      const draw = React.createElement;
      const samples = specSelectors.specJson().getIn(["paths", props.path, props.method, "x-codeSamples"]);
      const drawn = samples?.map((sample, index) => draw("details", { key: index, open: !index },
        draw("summary", null, sample.get("label")),
        draw(getComponent("HighlightCode", true), { canCopy: true, language: "text", children: sample.get("source") })));
      return draw("div", null, draw("div", { className: "samples" }, drawn?.toArray()), draw(Responses, props));
    },
  },
};

// Only the page that was asked for a token has one. It leaves the document before anything is drawn.
const { token } = place.dataset;
delete place.dataset.token;
const ui = window.SwaggerUIBundle({
  url: place.dataset.description,
  domNode: place,
  deepLinking: true,
  validatorUrl: null,
  filter: true,
  presets: [window.SwaggerUIBundle.presets.apis],
  plugins: [() => additions],
  onComplete: () => { if (token) ui.preauthorizeApiKey("access_token", token) },
});
