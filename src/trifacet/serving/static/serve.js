// The page of `trifacet serve`. Whatever models and people write is put in as text, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
let file = null;

function made(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function say(text) { $("status").textContent = text; }

async function show(chosen) {
  file = chosen;
  const canvas = $("preview");
  canvas.hidden = true;
  if (!file) return;
  $("picture").required = false;  // a dropped or pasted file is in no field
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, 960 / Math.max(bitmap.width, bitmap.height));
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    canvas.setAttribute("aria-label", `The picture that you chose: ${file.name || "pasted"}`);
    canvas.hidden = false;
    say(`${file.name || "A picture"} is chosen.`);
  } catch {
    say(`${file.name || "This file"} cannot be shown here; the server may read it all the same.`);
  }
}

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error("The file cannot be read."));
    reader.readAsDataURL(blob);
  });
}

async function suggest(model, picture, post) {
  const headers = { "Content-Type": "application/json" };
  if ($("token")) headers.Authorization = `Bearer ${$("token").value}`;
  let response;
  try {
    response = await fetch("/suggestions", { method: "POST", headers, body: JSON.stringify({ model, picture, post }) });
  } catch {
    throw new Error("The server does not answer.");
  }
  const told = await response.json().catch(() => null);
  if (response.ok && told) return told;
  const wait = response.headers.get("Retry-After");
  const problem = told && told.error ? told.error.message : `The server answers ${response.status}.`;
  throw new Error(wait ? `${problem} (in ${wait} s)` : problem);
}

function list(kind, items) {
  const element = made(kind);
  for (const item of items) {
    const line = made("li", item);
    line.dir = "auto";
    element.append(line);
  }
  return element;
}

function answer(card, told) {
  const total = told.samples.length;
  const text = made("p", undefined, "text");
  text.dir = "auto";
  for (const part of told.parts) {
    if (part.shared === total) {
      text.append(part.words);
    } else {
      const words = part.words.trimEnd();
      const mark = made("mark", words);
      mark.title = `in ${part.shared} of ${total} samples`;
      mark.append(made("span", ` (in ${part.shared} of ${total} samples)`, "vh"));
      text.append(mark, part.words.slice(words.length));
    }
  }
  if (!told.text) text.append(made("em", "The model wrote nothing."));
  card.append(text);
  const facts = [`${[...told.text].length} characters`];
  if (told.cut) facts.push("cut off at the longest text");
  if (told.cut_tokens) facts.push(`the post lost ${told.cut_tokens} tokens at its end`);
  card.append(made("p", facts.join(" · "), "aside"));
  const copy = made("button", "Copy");
  copy.type = "button";
  copy.setAttribute("aria-label", `Copy the text of ${card.dataset.model}`);
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(told.text);
      say(`The text of ${card.dataset.model} is copied.`);
    } catch {
      getSelection().selectAllChildren(text);
      say("The browser does not let this page copy; the text is selected.");
    }
  });
  card.append(copy);
  card.append(made("h3", "Lint"));
  card.append(told.findings.length ? list("ul", told.findings.map((one) => `${one.level}: ${one.cause}; ${one.cure}`))
    : made("p", "Nothing found.", "aside"));
  card.append(made("h3", `${total} samples`));
  card.append(list("ol", told.samples.map((sample) => sample || "(nothing)")));
}

async function write(event) {
  event.preventDefault();
  if (!file) { say("Choose a picture first."); $("picture").focus(); return; }
  const models = [$("first").value];
  if ($("second") && $("second").value) models.push($("second").value);
  const button = $("go");
  button.disabled = true;
  say("Writing …");
  const answers = $("answers");
  answers.replaceChildren();
  answers.classList.toggle("two", models.length > 1);
  try {
    const picture = (await dataUrl(file)).replace(/^data:(?!image\/)[^;,]*/, "data:image/unknown");
    const cards = models.map((model) => {
      const card = made("section", undefined, "answer");
      card.dataset.model = model;
      const heading = made("h2", model);
      heading.dir = "auto";
      card.append(heading);
      answers.append(card);
      return card;
    });
    let failed = 0;
    await Promise.all(models.map(async (model, at) => {
      try {
        answer(cards[at], await suggest(model, picture, $("post").value));
      } catch (error) {
        failed += 1;
        cards[at].classList.add("failed");
        cards[at].append(made("p", error.message, "error"));
      }
    }));
    say(failed ? `${failed} of ${models.length} models gave no text.` : "Done: the texts are below.");
  } catch (error) {
    say(error.message);
  } finally {
    button.disabled = false;
  }
}

$("picture").addEventListener("change", (event) => show(event.target.files[0] || null));
$("drop").addEventListener("dragover", (event) => { event.preventDefault(); $("drop").classList.add("over"); });
$("drop").addEventListener("dragleave", () => $("drop").classList.remove("over"));
$("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  if (event.dataTransfer.files.length) show(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const pasted = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
  if (pasted) { event.preventDefault(); show(pasted); }
});
$("ask").addEventListener("submit", write);
