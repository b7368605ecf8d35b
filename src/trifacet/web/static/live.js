// Keys, and answers without a blank page between two tasks. Everything works without this file, by plain forms.
"use strict";
(() => {
  const say = (id, text) => { document.getElementById(id).textContent = text; };
  const here = () => location.pathname + location.search;
  let busy = false, at = here();

  const keysOn = () => { try { return localStorage.getItem("review-keys") !== "off"; } catch { return true; } };
  const keepKeys = on => { try { localStorage.setItem("review-keys", on ? "on" : "off"); } catch { /* for this page only */ } };

  function arrive() {
    const line = document.querySelector(".keys");
    if (line) {
      line.hidden = false;
      document.getElementById("keys").checked = keysOn();
    }
    document.dispatchEvent(new Event("arrive"));
  }

  function show(page, address) {
    const next = new DOMParser().parseFromString(page, "text/html");
    document.getElementById("content").replaceWith(document.adoptNode(next.getElementById("content")));
    document.title = next.title;
    history.pushState(null, "", address);
    at = here();
    scrollTo(0, 0);
    arrive();
    document.getElementById("title").focus();
    say("alarm", "");
    document.getElementById("status").replaceChildren(...next.getElementById("status").childNodes);
  }

  async function send(form, button) {
    if (busy) return;
    busy = true;
    const fields = new URLSearchParams(new FormData(form));
    if (button?.name) fields.set(button.name, button.value);
    try {
      const answer = await fetch(form.action, {method: "POST", body: fields});
      show(await answer.text(), answer.url);
    } catch {
      say("alarm", "");
      say("alarm", "Your answer was not stored: the review does not answer. Once it runs again, choose again; this page waits.");
    } finally { busy = false; }
  }

  addEventListener("submit", event => {
    if (!event.target.matches("form[data-live]")) return;
    event.preventDefault();
    send(event.target, event.submitter);
  });

  addEventListener("keydown", event => {
    const writing = event.target.closest("textarea, input:not([type=checkbox]), select");
    if (event.key === "Escape" && writing) document.getElementById("title").focus();
    if (writing || !keysOn() || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    const control = document.querySelector(`[data-key~="${CSS.escape(event.key.toLowerCase())}"]`);
    if (!control) return;
    event.preventDefault();
    if (control.matches("textarea, input")) control.focus(); else control.click();
  });

  addEventListener("change", event => { if (event.target.id === "keys") keepKeys(event.target.checked); });
  // Also said of a link within the page, like the one to the content: what was typed must stay then.
  addEventListener("popstate", () => { if (here() !== at) location.reload(); });
  arrive();
})();
