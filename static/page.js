// What pages do in the browser beyond what their forms do by themselves. Served
// as one file with Datastar, behind it. Every page works without.
//
// Everything is listened for on the document: a todo is HTML and no code, and
// whatever a patch brings along works at once.

// Datastar's actions are for expressions, so the page has one for each that is
// asked for here (crates/ironstar-web/src/layout.rs).
const ask = (element, type, detail = {}) => {
  element.dispatchEvent(new CustomEvent(type, { detail }));
  return detail.answer;
};

// --- Forms: sent without leaving the page, unless they are .plain -------------

// Which commands are under way, and which of them were not carried out.
const sent = new Set();
const refused = new Set();
let count = 0;

const say = (text) => {
  document.getElementById("failed").textContent = text;
};

// Nearly everything is through by then.
const PENDING_MS = 1_000;

// Commands of several people that cancel each other out lead to no patch.
const SETTLED_MS = 1_000;

// Where a form leads says both what it was drawn as and what it asks for.
const check = (form, action) => {
  const toggle = form.querySelector("[role=checkbox]");
  if (toggle) {
    toggle.ariaChecked = new URL(form.action).pathname.includes(action);
  }
};

// Until Datastar listens, forms are what they are without it.
let isReady = false;
document.addEventListener("datastar-ready", () => {
  isReady = true;
});

const send = (page, form, key) => {
  sent.add(key);
  form.classList.add("sent");
  const answer = ask(page, "send", {
    action: form.action,
    options: {
      contentType: "form",
      selector: ".sent",
      requestCancellation: "disabled",
      // Sent twice because the connection broke, it is carried out once.
      headers: { "idempotency-key": key },
    },
  });
  form.classList.remove("sent");
  return answer;
};

// What is new goes out one after the other, to come in that order. The form is
// free for the next by then, so a copy of it is sent.
let adding = Promise.resolve();

// What was typed and is on its way. Whoever has to wait is told so, and warned before
// they leave.
const pending = new Map();

const showPending = () => {
  const texts = [...pending.values()];
  const text = texts.length > 0 ? `Not sent yet, trying again: ${texts.join(" · ")}` : "";
  document.getElementById("pending").textContent = text;
};

window.addEventListener("beforeunload", (event) => {
  left = Date.now();
  if (pending.size > 0) {
    event.preventDefault();
  }
});

const add = (page, form, key) => {
  const copy = form.cloneNode(true);
  copy.hidden = true;
  copy.querySelector("[autofocus]")?.removeAttribute("autofocus");
  const sending = adding.then(() => {
    document.body.append(copy);
    const answer = send(page, copy, key);
    copy.remove();
    return answer;
  });
  adding = sending.catch(() => {});
  return sending;
};

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const page = form.closest("[data-page]");
  if (!page || !isReady || form.matches(".plain")) {
    return;
  }
  event.preventDefault();
  const field = form.querySelector(".new-todo");
  if (field ? !field.value.trim() : form.ariaBusy) {
    return;
  }
  say("");
  count += 1;
  const key = `${page.dataset.page}.${count}`;
  const answer = field ? add(page, form, key) : send(page, form, key);
  form.ariaBusy = true;
  // What it leads to is shown at once, and taken back if it was refused.
  const typed = field?.value;
  if (field) {
    field.value = "";
    pending.set(key, typed);
    setTimeout(showPending, PENDING_MS);
  }
  check(form, "/complete");
  remember(form);
  await answer.catch(() => {});
  sent.delete(key);
  if (pending.delete(key)) {
    showPending();
  }
  form.ariaBusy = null;
  if (refused.delete(key)) {
    check(form, "/reopen");
    if (field) {
      field.value ||= typed;
    }
  } else {
    introduce();
    setTimeout(() => {
      if (!form.ariaBusy && !isBroken) {
        check(form, "/reopen");
      }
    }, SETTLED_MS);
  }
});

// --- Who may see this page, or who looks at it, has changed ----------------------

// A browser gets its new cookie in the same moment as its other pages hear of it.
const TRIES = 20;
// Whatever goes wrong, no page keeps a server busy by that.
const RELOAD_MS = 3_000;

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Who is on their way to another page must get there.
const LEAVING_MS = 5_000;
let left = -Infinity;

const reload = async (isSoon) => {
  for (let tries = isSoon ? TRIES : 0; tries > 0; tries -= 1) {
    const answer = await fetch("/api/session").then((answer) => answer.json()).catch(() => ({}));
    if (answer.principal) break;
    await wait(250);
  }
  const last = Number(sessionStorage.getItem("reloaded"));
  await wait(last + RELOAD_MS - Date.now());
  while (Date.now() - left < LEAVING_MS) {
    await wait(left + LEAVING_MS - Date.now());
  }
  sessionStorage.setItem("reloaded", Date.now());
  // What is half typed stays.
  const draft = document.querySelector(".new-todo")?.value;
  if (draft) {
    sessionStorage.setItem("draft", draft);
  }
  location.reload();
};

const draft = sessionStorage.getItem("draft");
if (draft) {
  sessionStorage.removeItem("draft");
  const field = document.querySelector(".new-todo");
  if (field) {
    field.value ||= draft;
  }
}

// --- Answers and patches -------------------------------------------------------

document.addEventListener("datastar-fetch", ({ detail: { type, el, argsRaw } }) => {
  if (type === "datastar-reload") {
    reload(argsRaw.when === "soon");
  } else if (el.matches("#connection")) {
    hear(type);
  } else if (type === "datastar-refused") {
    refused.add(argsRaw.key);
  } else if (["error", "retries-failed"].includes(type)) {
    // Not the application's answer, but a proxy's or nobody's.
    sent.forEach((key) => refused.add(key));
    say(`That did not work${argsRaw.status ? ` (${argsRaw.status})` : ""}. Please try again.`);
  }
  if (type.startsWith("datastar-patch")) {
    mark();
    refocus();
  }
});

// --- An address to hand on is taken as a whole -----------------------------------

document.addEventListener("focusin", ({ target }) => {
  if (target.matches(".address")) {
    target.select();
  }
});

document.documentElement.classList.toggle("can-copy", Boolean(navigator.clipboard));

document.addEventListener("click", async ({ target }) => {
  const button = target.closest(".copy");
  if (!button) {
    return;
  }
  const address = button.closest("li").querySelector(".address");
  try {
    await navigator.clipboard.writeText(address.value);
  } catch {
    // It was not allowed.
    address.select();
    return;
  }
  const { ariaLabel, textContent } = button;
  button.ariaLabel = "Copied";
  button.textContent = "Copied";
  await wait(2_000);
  Object.assign(button, { ariaLabel, textContent });
});

// --- Focus: what was used may go away ------------------------------------------

let used;

const remember = (form) => {
  const item = form.closest("li[id]");
  const next = item?.nextElementSibling ?? item?.previousElementSibling;
  const control = item && document.activeElement.closest(".toggle, .destroy, .edit");
  used = control && {
    id: item.id,
    next: next?.id,
    control: control.matches(".toggle") ? ".toggle" : ".destroy",
    until: Date.now() + 3000,
  };
};

const refocus = () => {
  if (!used || document.getElementById(used.id)) {
    return;
  }
  if (Date.now() < used.until && document.activeElement === document.body) {
    const next = document.getElementById(used.next)?.querySelector(used.control);
    (next ?? document.querySelector(".new-todo"))?.focus();
  }
  used = undefined;
};

// --- The stream: opened again and again, and people are told if it is not ------

// It is never silent for longer than 15 s. One that is has gone, whatever the
// network says: a computer that was asleep notices so when it wakes up.
const SILENT_MS = 35_000;
// A short break is nobody's business.
const BREAK_MS = 2_000;

let heard = Date.now();
let opened = Date.now();
let isBroken = false;

const lose = (isLost) => {
  const connection = document.getElementById("connection");
  connection.textContent = isLost ? connection.dataset.lost : "";
};

const hear = (type) => {
  isBroken = ["retrying", "error", "retries-failed"].includes(type);
  if (type.startsWith("datastar-")) {
    heard = Date.now();
    lose(false);
  }
};

const reopen = () => {
  opened = Date.now();
  ask(document.getElementById("connection"), "reopen");
};

const watch = () => {
  const silent = Date.now() - heard;
  // Datastar closes the stream of a page that is hidden.
  if (document.hidden) {
    return;
  }
  if (silent > (isBroken ? BREAK_MS : SILENT_MS)) {
    lose(true);
  }
  if (silent > SILENT_MS && Date.now() - opened > 10_000) {
    reopen();
  }
};

// Who does something for the first time is somebody from then on. Streams that were
// opened before, by whichever page, know nothing of it.
const introductions = new BroadcastChannel("introductions");
const drawnFor = document.getElementById("connection")?.dataset.drawnFor;
let isKnown = drawnFor !== "nobody";

const know = () => {
  if (!isKnown) {
    isKnown = true;
    reopen();
  }
};

const introduce = () => {
  if (!isKnown) {
    know();
    introductions.postMessage("");
  }
};

introductions.addEventListener("message", know);
if (drawnFor && isKnown) {
  introductions.postMessage("");
}

if (document.getElementById("connection")) {
  setInterval(watch, 1_000);
  document.addEventListener("visibilitychange", () => {
    heard = Date.now();
  });
  window.addEventListener("online", reopen);
  window.addEventListener("offline", () => lose(true));
}

// --- Editing: one todo at a time, which the browser sees to --------------------

let edited;
// What its field held when the editor was opened.
let begunWith;

// A patch by somebody else knows nothing of who edits what.
const mark = () => {
  const item = document.getElementById(edited);
  // One that went away and has come back is not edited any more.
  if (item?.querySelector(".editor[open]")) {
    item.classList.add("editing");
  }
};

// Opening and closing do not bubble.
const opening = { capture: true };
document.addEventListener("toggle", ({ target: editor }) => {
  const item = editor.closest(".editor")?.closest("li");
  if (!item) {
    return;
  }
  item.classList.toggle("editing", editor.open);
  if (editor.open) {
    edited = item.id;
    const field = editor.querySelector(".edit");
    // What it says by now, whatever it said when the editor was made.
    begunWith = item.querySelector("label, .text")?.textContent ?? field.defaultValue;
    field.value = begunWith;
    field.focus();
    field.setSelectionRange(begunWith.length, begunWith.length);
  } else if (edited === item.id) {
    edited = undefined;
    if (document.activeElement === document.body || editor.contains(document.activeElement)) {
      editor.querySelector("summary").focus();
    }
  }
}, opening);

document.addEventListener("dblclick", ({ target }) => {
  const editor = target.closest(".view label")?.closest("li").querySelector(".editor");
  if (editor) {
    editor.open = true;
  }
});

document.addEventListener("keydown", ({ key, isComposing, target }) => {
  if (key === "Escape" && !isComposing && target.matches(".edit")) {
    target.closest(".editor").open = false;
  }
});

// Who goes on to another part of the page has done; who only looks at another
// window has not, nor has who is taken away what is edited. A form that leaves
// the page is not sent so.
document.addEventListener("focusout", async ({ target, relatedTarget }) => {
  const editor = target.closest("[data-page] .editor[open]");
  const field = editor?.querySelector(".edit");
  // A patch that takes the editor away is not through yet.
  await undefined;
  if (!editor || document.activeElement === target || editor.contains(relatedTarget)) {
    return;
  }
  const draft = field.value.trim();
  if (!editor.isConnected) {
    if (draft && draft !== begunWith && !field.form.ariaBusy) {
      say(`The todo that you were editing is no longer here. You had typed: ${draft}`);
    }
  } else if (draft === begunWith) {
    editor.open = false;
  } else if (!field.form.ariaBusy) {
    field.form.requestSubmit();
  }
});

// To press the button that ends editing is not to leave the field.
document.addEventListener("mousedown", (event) => {
  if (event.target.closest(".editor[open] summary")) {
    event.preventDefault();
  }
});
