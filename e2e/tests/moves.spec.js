import { setTimeout as sleep } from "node:timers/promises";

import { expect, test } from "../fixtures.js";
import { MovingProxy } from "../moving-proxy.js";
import { Server } from "../server.js";

const MOVES = 1_000;

test.describe("on PostgreSQL", () => {
  const DATABASE_URL = process.env.IRONSTAR_POSTGRES;
  test.skip(!DATABASE_URL, "PostgreSQL is not installed");
  test.use({ settings: { DATABASE_URL } });

  let other;
  test.beforeEach(async () => {
    other = await Server.start({ DATABASE_URL });
  });
  test.afterEach(() => other.remove());

  test("a browser that moves between servers a thousand times gets each event once, in order", async ({
    server,
    page,
  }) => {
    test.setTimeout(240_000);
    const servers = [server, other];
    const proxy = await MovingProxy.before(servers.map(({ url }) => url));

    // The page is the proxy's own, so that its stream is of the same origin.
    await page.route(`${proxy.url}/`, (route) => route.fulfill({ body: "", contentType: "text/html" }));
    await page.goto(`${proxy.url}/`);
    await page.evaluate(() => {
      window.texts = [];
      window.resets = 0;
      window.source = new EventSource("/api/events?after=0");
      window.source.addEventListener("log-reset", () => (window.resets += 1));
      window.source.addEventListener("created", ({ data }) => {
        window.texts.push(JSON.parse(data).payload.text);
      });
    });

    const sent = [];
    while (proxy.moves < MOVES) {
      const text = `Todo ${sent.length + 1}`;
      sent.push(text);
      await servers[sent.length % servers.length].command({ type: "create", text });
      await sleep(20);
    }
    const texts = () => page.evaluate(() => window.texts);
    await expect.poll(async () => (await texts()).length).toBeGreaterThanOrEqual(sent.length);
    expect(await texts()).toEqual(sent);
    expect(await page.evaluate(() => window.resets)).toBe(0);

    await proxy.stop();
  });
});
