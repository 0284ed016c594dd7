// Holds one connection for the streams of several pages, as a shared worker of them all.
// Each page has a port. A page says through it which stream it wants, and gets the
// stream's status, then its frames, and 0 when it is over (streams.js). What belongs to
// which page is in front of the frames (crates/ironstar-web/src/bundle.rs).
//
// Whenever a page comes or goes, all streams are asked for again on a new connection,
// each from the id that its page has got to.

// Pages that come or go at the same time cost one new connection.
const GATHER_MS = 30;
// As many as the server takes.
const MOST = 24;

// The streams by their ports: `wanted` as the server is asked, and whether it has begun.
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

// A new line cannot be in a value, so this is the field and no text.
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
    // To a page whose stream has begun, any status is the end.
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
    // The network: pages ask again.
  }
  if (!signal.aborted) {
    ports.forEach((port) => note(ports, ports.indexOf(port), String(status)));
  }
};

// A page that gets this lock knows that the worker has gone.
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
    // It is free when the page has gone. Without it, the server ends the stream in time.
    if (lock) {
      navigator.locks.request(lock, leave);
    }
  });
  await isHeld;
  port.start();
});
