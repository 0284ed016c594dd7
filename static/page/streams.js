// Chooses the connection for a page's stream.
//
// Over HTTP/1.1 a browser opens six connections to a site, for all its pages together. With a
// connection for each page's stream, a seventh page would not even load. So three pages hold a
// connection each, and all others share one (../bundle.js). Two stay free, for commands and for
// pages that load. HTTP/2 has no such limit, and there each page has its own connection
// (docs/adr/0010).
//
// Datastar opens the stream by `fetch`, and continues after its `Last-Event-ID`, whichever
// connection the stream uses.

const startStreams = (window, worker) => {
  const OWN_STREAMS = 3;
  const { fetch, navigator, performance } = window;
  const [navigation] = performance.getEntriesByType("navigation");
  let canShare = "SharedWorker" in window && Boolean(navigation?.nextHopProtocol.startsWith("http/1"));

  // Does not wait for other pages. Resolves to the function that releases the lock, if the
  // lock was free.
  const lock = (name) =>
    new Promise((resolve) => {
      const hold = (lock) => (lock ? new Promise((release) => resolve(release)) : resolve());
      navigator.locks.request(name, { ifAvailable: true }, hold).catch(() => resolve());
    });

  // Takes one of the locks for pages with a connection of their own. The browser releases the
  // lock when the page closes or crashes. A site without TLS has no locks, except on
  // localhost, so there all its pages share a connection.
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

  // The page and the worker hold a lock each. Each of them gets the other's lock when the
  // other is gone. Without locks, silence on the stream tells (connection.js).
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

  // A browser that blocks the site's storage refuses workers and locks with an error.
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
      // The worker could not be loaded, as after an update of the server.
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
    // Datastar aborts the request when the page is hidden, and before it opens another one.
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
    // Datastar's signals, which no page uses.
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
