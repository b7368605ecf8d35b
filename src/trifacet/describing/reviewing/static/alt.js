// Checks while somebody types, and what was typed kept over a change of pages. Everything works without this file.
"use strict";
(() => {
  const PAUSE = 400; // milliseconds without a key before the text is checked
  const box = () => document.querySelector("form[data-check] #text");
  const place = field => `alt ${field.form.action} ${field.form.elements.event.value} ${field.name}`;
  let waiting = 0, asking = null;

  function label(field) {
    const words = document.querySelector("#accept .label");
    words.dataset.first ??= words.textContent;
    words.textContent = [...field.form.querySelectorAll("textarea")].some(one => one.value !== one.defaultValue) ? "Save" : words.dataset.first;
  }

  async function check(field) {
    asking?.abort();
    asking = new AbortController();
    const fields = new URLSearchParams({proof: field.form.elements.proof.value, text: field.value});
    try {
      const answer = await fetch(field.form.dataset.check, {method: "POST", body: fields, signal: asking.signal});
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!answer.ok || field !== box()) return;
      document.getElementById("count").replaceWith(document.adoptNode(page.getElementById("count")));
      const [now, next] = [document, page].map(one => one.getElementById("findings"));
      if (now.textContent !== next.textContent) now.replaceChildren(...next.childNodes); // said once, not with each letter
    } catch { /* the next letter asks again */ }
  }

  addEventListener("input", event => {
    const field = event.target;
    if (!field.matches("form[data-check] textarea")) return;
    try { sessionStorage.setItem(place(field), field.value); } catch { /* not kept, then */ }
    label(field);
    if (field !== box()) return;
    clearTimeout(waiting);
    waiting = setTimeout(check, PAUSE, field);
  });

  addEventListener("keydown", event => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !event.target.matches("form[data-check] textarea")) return;
    event.preventDefault();
    document.getElementById("accept").click();
  });

  function arrive() {
    clearTimeout(waiting);
    for (const field of document.querySelectorAll("form[data-check] textarea")) {
      let kept = null;
      try { kept = sessionStorage.getItem(place(field)); } catch { /* nothing kept */ }
      if (kept === null || kept === field.value) continue;
      field.value = kept;
      label(field);
      if (field === box()) check(field);
    }
  }

  document.addEventListener("arrive", arrive);
  arrive();
})();
