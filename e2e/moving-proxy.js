// A proxy before several servers that ends each answer in the middle, after a random time. So a
// browser that reads a stream moves between the servers again and again.

import { once } from "node:events";
import { createServer, request } from "node:http";

/** The longest time of an answer, in milliseconds. */
const LONGEST = 20;

export class MovingProxy {
  #server;

  /** The address of the proxy. */
  url;

  /** The number of answers that it has begun. */
  moves = 0;

  /** Answers each request from the next of the servers at these addresses. */
  static async before(urls) {
    const proxy = new MovingProxy();
    proxy.#server = createServer((asked, answer) => {
      proxy.#forward(urls[proxy.moves++ % urls.length], asked, answer);
    });
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    proxy.url = `http://127.0.0.1:${proxy.#server.address().port}`;
    return proxy;
  }

  #forward(url, asked, answer) {
    const headers = { ...asked.headers, host: new URL(url).host };
    const sent = request(`${url}${asked.url}`, { headers });
    answer.on("close", () => sent.destroy());
    sent.on("error", () => answer.destroy());
    sent.on("response", (got) => {
      answer.writeHead(got.statusCode, got.headers);
      // A browser waits for seconds before it connects again, unless it is told not to.
      answer.write("retry: 1\n\n");
      const end = (bytes) => {
        got.removeAllListeners("data");
        answer.end(bytes);
      };
      got.on("data", (bytes) => {
        // It may end within an event.
        const isWhole = Math.random() < 0.5;
        if (isWhole) answer.write(bytes);
        else end(bytes.subarray(0, Math.random() * bytes.length));
      });
      setTimeout(end, Math.random() * LONGEST);
    });
    sent.end();
  }

  async stop() {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
