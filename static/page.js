// The behaviour of pages in the browser beyond that of their forms and links. Served in one
// file with Datastar, after it. Every page works without this file.
//
// All listeners are on the document: a todo is HTML without code, and elements that a patch
// adds work at once.

// Datastar's actions are available to expressions only. So the page has an expression for each
// action that is needed here (crates/ironstar-web/src/layout.rs).
const ask = (element, type, detail = {}) => {
  element.dispatchEvent(new CustomEvent(type, { detail }));
  return detail.answer;
};

// --- Forms: sent without leaving the page, unless they are .plain -------------

// The commands in progress, and those of them that were refused.
const sent = new Set();
const refused = new Set();
let count = 0;

const say = (text) => {
  document.getElementById("failed").textContent = text;
};

// Nearly every command has its answer within this time.
const PENDING_MS = 1_000;

// Commands of several visitors that cancel each other out lead to no patch.
const SETTLED_MS = 1_000;

// The address of a form tells both the state that it was drawn in and the state that it asks
// for.
const check = (form, action) => {
  const toggle = form.querySelector("[role=checkbox]");
  if (toggle) {
    toggle.ariaChecked = new URL(form.action).pathname.includes(action);
  }
};

// Until Datastar listens, forms work as without it.
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
      // If the broken connection makes Datastar send it twice, it is carried out once.
      headers: { "idempotency-key": key },
    },
  });
  form.classList.remove("sent");
  return answer;
};

// New todos are sent one after the other, so that they arrive in order. In the meantime the
// form is free for the next one, so a copy of the form is sent.
let adding = Promise.resolve();

// The texts of new todos that are not stored yet. After a while they are shown, and leaving
// the page asks for confirmation.
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
  // The outcome is shown at once, and undone if the command is refused.
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

// --- Reloads: the access to this page, or its visitor, has changed ----------------

// The browser gets its new cookie while its other pages already learn of the change.
const TRIES = 20;
// A limit, so that no error makes a page reload all the time.
const RELOAD_MS = 3_000;

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// A visitor who is leaving for another page must get there.
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
  // Half-typed text stays.
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
    // The answer of a proxy, or none, instead of the application's.
    sent.forEach((key) => refused.add(key));
    say(`That did not work${argsRaw.status ? ` (${argsRaw.status})` : ""}. Please try again.`);
  }
  if (type.startsWith("datastar-patch")) {
    mark();
    refocus();
  }
});

// --- Links to share: the address is selected as a whole --------------------------

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
    // The browser has refused access to the clipboard.
    address.select();
    return;
  }
  const { ariaLabel, textContent } = button;
  button.ariaLabel = "Copied";
  button.textContent = "Copied";
  await wait(2_000);
  Object.assign(button, { ariaLabel, textContent });
});

// --- Focus: the element that has it may be removed ------------------------------

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

// --- The stream: opened again after each break, which the visitor is told of -----

// A stream is never silent for longer than 15 s. A stream with a longer silence is broken,
// whatever the network reports: a computer notices so when it wakes from sleep.
const SILENT_MS = 35_000;
// A short break is not shown.
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
  // Datastar closes the stream of a hidden page.
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

// A visitor gets a session by their first command. Streams that any page opened before do not
// know of it.
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

// --- Editing: one todo at a time, which the browser ensures -----------------------

let edited;
// The text in the field when the editor was opened.
let begunWith;

// A patch for all visitors does not know which todo is being edited.
const mark = () => {
  const item = document.getElementById(edited);
  // A todo that was removed and has come back is no longer being edited.
  if (item?.querySelector(".editor[open]")) {
    item.classList.add("editing");
  }
};

// Events of opening and closing do not bubble.
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
    // The current text, not the one from when the editor was drawn.
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

// Leaving the field for another part of the page saves. Looking at another window does not,
// nor does the removal of the todo. A plain form, which leaves the page, is not sent this way.
document.addEventListener("focusout", async ({ target, relatedTarget }) => {
  const editor = target.closest("[data-page] .editor[open]");
  const field = editor?.querySelector(".edit");
  // A patch that removes the editor has not finished yet.
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

// Pressing the button that ends editing does not count as leaving the field.
document.addEventListener("mousedown", (event) => {
  if (event.target.closest(".editor[open] summary")) {
    event.preventDefault();
  }
});
