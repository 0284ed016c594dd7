// Reloads: the access to this page, or its visitor, has changed.

const startReload = (document) => {
  // The browser gets its new cookie while its other pages already learn of the change.
  const TRIES = 20;
  // A limit, so that no error makes a page reload all the time.
  const RELOAD_MS = 3_000;
  // A visitor who is leaving for another page must get there.
  const LEAVING_MS = 5_000;

  let left = -Infinity;
  window.addEventListener("beforeunload", () => {
    left = Date.now();
  });

  const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

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

  document.addEventListener("datastar-fetch", ({ detail: { type, argsRaw } }) => {
    if (type === "datastar-reload") {
      reload(argsRaw.when === "soon");
    }
  });

  const draft = sessionStorage.getItem("draft");
  if (draft) {
    sessionStorage.removeItem("draft");
    const field = document.querySelector(".new-todo");
    if (field) {
      field.value ||= draft;
    }
  }
};
