// Holds one connection for the streams of several pages, as their shared worker.
//
// Each page has a port. Through it, a page names the stream that it wants. It gets the status
// of the stream, then the frames, and 0 at the end (page/streams.js). The server marks the page
// that frames belong to in front of them (crates/ironstar-web/src/bundle.rs).
//
// Whenever a page comes or goes, all streams are requested again on a new connection, each
// from the id that its page has reached.

// Pages that come or go at the same time cost one new connection.
const GATHER_MS = 30;
// The maximum that the server accepts.
const MOST = 24;

// The streams by their ports: the request to the server, and whether the stream has begun.
const streams = new Map();
let connection = new AbortController();
let gathering;

const change = () => {
  gathering ??= setTimeout(connect, GATHER_MS);
};

const finish = (port, status) => {
  if (streams.delete(port)) {
    port.postMessage(status);
  }
};

// A value cannot contain a line break, so this is always the field itself.
const ID = "\nid:";

const hand = (ports, number, block) => {
  const port = ports[number];
  const stream = streams.get(port);
  if (!stream) {
    return;
  }
  const at = block.lastIndexOf(ID);
  if (at >= 0) {
    stream.wanted.id = block.slice(at + ID.length).trim() || undefined;
  }
  port.postMessage(`${block}\n\n`);
};

const note = (ports, number, what) => {
  const port = ports[number];
  const stream = streams.get(port);
  if (what !== "200") {
    // Once a page's stream has begun, any status means its end.
    finish(port, stream?.hasBegun ? 0 : Number(what) || 0);
  } else if (stream && !stream.hasBegun) {
    stream.hasBegun = true;
    port.postMessage(200);
  }
};

const read = async (ports, body, signal) => {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let number;
  for (;;) {
    const { value, done } = await reader.read();
    if (done || signal.aborted) {
      return;
    }
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const [, next, what, frame] = /^(?::(\d+)(?: (\w+))?(?:\n|$))?([^]*)/.exec(block);
      number = next ?? number;
      if (what) {
        note(ports, number, what);
      } else {
        hand(ports, number, frame);
      }
    }
  }
};

const connect = async () => {
  gathering = undefined;
  connection.abort();
  connection = new AbortController();
  const { signal } = connection;
  const all = [...streams.keys()];
  all.slice(MOST).forEach((port) => finish(port, 429));
  const ports = all.slice(0, MOST);
  if (ports.length === 0) {
    return;
  }
  let status = 0;
  try {
    const wanted = JSON.stringify(ports.map((port) => streams.get(port).wanted));
    const response = await fetch(`/api/sse/bundle?streams=${encodeURIComponent(wanted)}`, { signal });
    if (response.ok) {
      await read(ports, response.body, signal);
    } else {
      status = response.status;
    }
  } catch {
    // A network error: the pages ask again.
  }
  if (!signal.aborted) {
    ports.forEach((port) => note(ports, ports.indexOf(port), String(status)));
  }
};

// A page that gets this lock knows that the worker is gone.
const isHeld = new Promise((resolve) => {
  const hold = () => {
    resolve();
    return new Promise(() => {});
  };
  if (navigator.locks) {
    navigator.locks.request(location.pathname, hold);
  } else {
    hold();
  }
});

addEventListener("connect", async ({ ports: [port] }) => {
  const leave = () => {
    if (streams.delete(port)) {
      change();
    }
  };
  port.addEventListener("message", ({ data: { wanted, lock } }) => {
    if (!wanted) {
      leave();
      port.close();
      return;
    }
    streams.set(port, { wanted });
    change();
    // The lock is free when the page is gone. Without locks, the server ends the stream after
    // a while.
    if (lock) {
      navigator.locks.request(lock, leave);
    }
  });
  await isHeld;
  port.start();
});
