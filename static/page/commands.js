// Commands: forms are sent without leaving the page, unless they are .plain.

const startCommands = (document, { connection, focus, introduction, unsent }) => {
  // Commands of several visitors that cancel each other out lead to no patch.
  const SETTLED_MS = 1_000;

  // The commands in progress, and those of them that were refused.
  const sent = new Set();
  const refused = new Set();
  let count = 0;

  const say = (text) => {
    document.getElementById("failed").textContent = text;
  };

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

  // Datastar's actions are available to expressions only. So the page has an expression for
  // this one, which returns the answer in the event (crates/ironstar-web/src/page/layout.rs).
  const send = (page, form, key) => {
    sent.add(key);
    form.classList.add("sent");
    const detail = {
      action: form.action,
      options: {
        contentType: "form",
        selector: ".sent",
        requestCancellation: "disabled",
        // If the broken connection makes Datastar send it twice, it is carried out once.
        headers: { "idempotency-key": key },
      },
    };
    page.dispatchEvent(new CustomEvent("send", { detail }));
    form.classList.remove("sent");
    return detail.answer;
  };

  // New todos are sent one after the other, so that they arrive in order. In the meantime the
  // form is free for the next one, so a copy of the form is sent.
  let adding = Promise.resolve();

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
      unsent.add(key, typed);
    }
    check(form, "/complete");
    focus.remember(form);
    await answer.catch(() => {});
    sent.delete(key);
    unsent.remove(key);
    form.ariaBusy = null;
    if (refused.delete(key)) {
      check(form, "/reopen");
      if (field) {
        field.value ||= typed;
      }
    } else {
      introduction.introduce();
      setTimeout(() => {
        if (!form.ariaBusy && !connection.isBroken()) {
          check(form, "/reopen");
        }
      }, SETTLED_MS);
    }
  });

  document.addEventListener("datastar-fetch", ({ detail: { type, el, argsRaw } }) => {
    if (el.matches("#connection")) {
      return;
    }
    if (type === "datastar-refused") {
      refused.add(argsRaw.key);
    } else if (["error", "retries-failed"].includes(type)) {
      // The answer of a proxy, or none, instead of the application's.
      sent.forEach((key) => refused.add(key));
      say(`That did not work${argsRaw.status ? ` (${argsRaw.status})` : ""}. Please try again.`);
    }
  });

  return { say };
};
