// Which connection a page's stream comes over.
//
// Over HTTP/1.1 a browser opens six connections to a site, for all its pages together.
// With a connection for each page's stream, a seventh page would not even load. So
// three pages hold a connection each, and all others share one (bundle.js). Two stay
// free, for commands and for pages that load. HTTP/2 knows no such limit, and there each
// page has its own (docs/adr/0010).
//
// Datastar opens the stream by `fetch`, and goes on from its `Last-Event-ID` whichever
// way the stream comes.

const OWN_STREAMS = 3;

const start = (window, worker) => {
  const { fetch, navigator, performance } = window;
  const [navigation] = performance.getEntriesByType("navigation");
  let canShare = "SharedWorker" in window && Boolean(navigation?.nextHopProtocol.startsWith("http/1"));

  // Waits for no other page. Resolves to what gives the lock back, if it was free.
  const lock = (name) =>
    new Promise((resolve) => {
      const hold = (lock) => (lock ? new Promise((release) => resolve(release)) : resolve());
      navigator.locks.request(name, { ifAvailable: true }, hold).catch(() => resolve());
    });

  // One of the locks of pages with a connection of their own. The browser takes it back
  // from a page that is closed or crashes. A site without TLS has no locks, but on this
  // very machine: all its pages share.
  const take = async () => {
    for (let number = 1; navigator.locks && number <= OWN_STREAMS; number += 1) {
      const release = await lock(`ironstar-stream-${number}`);
      if (release) {
        return release;
      }
    }
  };

  let taken;

  const leave = async () => {
    const left = taken;
    taken = undefined;
    (await left)?.();
  };

  // Page and worker hold a lock each, and either gets the other's when the other has gone.
  // Without locks, silence tells (page.js).
  const acquaint = (port, wanted, ended, lose) => {
    const { locks } = navigator;
    if (!locks) {
      port.postMessage({ wanted });
      return;
    }
    const lock = `ironstar-page-${window.crypto.randomUUID()}`;
    const hold = () => {
      port.postMessage({ wanted, lock });
      return new Promise((release) => ended.addEventListener("abort", release));
    };
    const ignore = () => {};
    locks.request(lock, { signal: ended }, hold).catch(() => {
      if (!ended.aborted) {
        canShare = false;
        lose();
      }
    });
    const watch = () => locks.request(worker, { mode: "shared", signal: ended }, lose).catch(ignore);
    port.addEventListener("message", watch, { once: true });
  };

  // A browser that blocks the site's storage refuses workers and locks, each with an error.
  const connect = () => {
    try {
      return canShare ? new window.SharedWorker(worker) : undefined;
    } catch {
      canShare = false;
    }
  };

  const share = (shared, wanted, signal) =>
    new Promise((resolve, reject) => {
      const encoder = new TextEncoder();
      const { port } = shared;
      let body;
      const start = (controller) => {
        body = controller;
      };
      const frames = new ReadableStream({ start });
      const over = new AbortController();
      const { signal: ended } = over;
      const end = (error) => {
        if (!ended.aborted) {
          over.abort();
          port.postMessage({});
          port.close();
          body.error(error);
          reject(error);
        }
      };
      const lose = () => end(new TypeError("the shared stream has ended"));
      signal.addEventListener("abort", () => end(signal.reason), { signal: ended });
      window.addEventListener("pagehide", lose, { signal: ended });
      // It could not be loaded, as after an update of the server.
      shared.addEventListener("error", () => {
        canShare = false;
        lose();
      });
      port.addEventListener("message", ({ data }) => {
        if (typeof data === "string") {
          body.enqueue(encoder.encode(data));
          return;
        }
        if (data > 0) {
          resolve(new Response(data === 200 ? frames : null, { status: data }));
        }
        if (data !== 200) {
          lose();
        }
      });
      port.start();
      acquaint(port, wanted, ended, lose);
    });

  window.fetch = async (input, options) => {
    const address = new URL(input, window.location.href);
    const { headers, signal } = options ?? {};
    if (!canShare || !signal || !address.pathname.startsWith("/api/sse/")) {
      return fetch(input, options);
    }
    // Datastar aborts it when the page is hidden, and before it opens another.
    signal.addEventListener("abort", leave);
    taken ??= take();
    const asked = taken;
    if (await asked) {
      return fetch(input, options);
    }
    if (taken === asked) {
      taken = undefined;
    }
    signal.throwIfAborted();
    const shared = connect();
    if (!shared) {
      return fetch(input, options);
    }
    // Signals of Datastar, of which no page has any.
    address.searchParams.delete("datastar");
    const { "last-event-id": id, "ironstar-drawn-for": drawn_for } = headers;
    const wanted = { path: address.pathname + address.search, id, drawn_for };
    return share(shared, wanted, signal).catch((error) => {
      if (canShare) {
        throw error;
      }
      return fetch(input, options);
    });
  };
};

start(window, BUNDLE);
