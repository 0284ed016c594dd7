// The connection: a page's stream is opened again after each break, which the visitor is told
// of.

const startConnection = (document) => {
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

  document.addEventListener("datastar-fetch", ({ detail: { type, el } }) => {
    if (type === "datastar-reload" || !el.matches("#connection")) {
      return;
    }
    isBroken = ["retrying", "error", "retries-failed"].includes(type);
    if (type.startsWith("datastar-")) {
      heard = Date.now();
      lose(false);
    }
  });

  // The element has an expression that opens the stream (crates/ironstar-web/src/page/layout.rs).
  const reopen = () => {
    opened = Date.now();
    document.getElementById("connection").dispatchEvent(new CustomEvent("reopen"));
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

  if (document.getElementById("connection")) {
    setInterval(watch, 1_000);
    document.addEventListener("visibilitychange", () => {
      heard = Date.now();
    });
    window.addEventListener("online", reopen);
    window.addEventListener("offline", () => lose(true));
  }

  return { isBroken: () => isBroken, reopen };
};
