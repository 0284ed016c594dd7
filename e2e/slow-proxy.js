// A proxy between a browser and a server that passes pages on tag by tag, like a slow
// network.

import { once } from "node:events";
import { createServer, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds between tags: more than a frame, so that the browser draws each part by itself. */
const PAUSE = 20;

export class SlowProxy {
  #server;

  /** The address of the slow pages. */
  url;

  static async before(url) {
    const proxy = new SlowProxy();
    proxy.#server = createServer((asked, answer) => forward(url, asked, answer));
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    proxy.url = `http://127.0.0.1:${proxy.#server.address().port}`;
    return proxy;
  }

  async stop() {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

const forward = async (url, asked, answer) => {
  const { host } = new URL(url);
  // Without compression, so that pages can be split at their tags.
  const headers = { ...asked.headers, host, "accept-encoding": "identity" };
  const sent = request(`${url}${asked.url}`, { method: asked.method, headers });
  asked.pipe(sent);
  answer.on("close", () => sent.destroy());
  sent.on("error", () => answer.destroy());
  const [got] = await once(sent, "response");
  const { "content-length": _, ...rest } = got.headers;
  answer.writeHead(got.statusCode, rest);
  answer.flushHeaders();
  if (!got.headers["content-type"]?.startsWith("text/html")) {
    got.pipe(answer);
    return;
  }
  let page = "";
  for await (const part of got.setEncoding("utf8")) page += part;
  for (const part of page.split(/(?<=>)/)) {
    answer.write(part);
    await sleep(PAUSE);
  }
  answer.end();
};
