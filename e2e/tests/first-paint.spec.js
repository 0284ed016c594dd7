// A page is complete when it arrives, small, and its content does not move.

import { expect, test } from "../fixtures.js";
import { SlowProxy } from "../slow-proxy.js";
import { TodoPage } from "../todo-page.js";

/** Records the requests of a page, with the size of each answer. */
const measure = async (page) => {
  const client = await page.context().newCDPSession(page);
  await client.send("Network.enable");
  await client.send("Network.setCacheDisabled", { cacheDisabled: true });
  const requests = new Map();
  client.on("Network.requestWillBeSent", ({ requestId, request, type }) => {
    requests.set(requestId, { type, path: new URL(request.url).pathname, bytes: 0 });
  });
  client.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    Object.assign(requests.get(requestId) ?? {}, { bytes: encodedDataLength, isDone: true });
  });
  return requests;
};

/** Makes a page record layout shifts. */
const watchShifts = (page) =>
  page.addInitScript(() => {
    window.shifts = [];
    new PerformanceObserver((list) => {
      for (const { value, sources } of list.getEntries()) {
        window.shifts.push([value, ...sources.map(({ node }) => node?.outerHTML?.slice(0, 80))]);
      }
    }).observe({ type: "layout-shift", buffered: true });
  });

/** After two frames, all pending changes are drawn. */
const drawn = (page) =>
  page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

const isLive = async (server, page) => {
  await server.seed("Live");
  await expect(page.locator(".todo-list li").getByText("Live", { exact: true })).toBeVisible();
};

test("an empty list is one page, one style sheet and one script", async ({ open }) => {
  const page = await open();
  const requests = await measure(page);
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  const streamed = page.waitForResponse("**/api/sse/todos**");
  await page.goto("/");
  await streamed;
  const done = () => [...requests.values()].filter(({ isDone }) => isDone);
  await expect.poll(() => done().length).toBeGreaterThanOrEqual(3);
  const all = [...requests.values()];
  const paths = (type) => all.filter((request) => request.type === type).map(({ path }) => path);
  expect(paths("Document")).toEqual(["/"]);
  expect(paths("Stylesheet")).toEqual([expect.stringMatching(/^\/static\/app-[0-9a-f]{16}\.css$/)]);
  expect(paths("Script")).toEqual([expect.stringMatching(/^\/static\/page-[0-9a-f]{16}\.js$/)]);
  const others = all.filter(({ type }) => !["Document", "Stylesheet", "Script"].includes(type));
  expect(others.filter(({ path }) => !/^\/static\/favicon-|^\/api\/sse\/todos$/.test(path))).toEqual([]);
  const bytes = all.reduce((sum, request) => sum + request.bytes, 0);
  expect(bytes).toBeGreaterThan(10 * 1024);
  expect(bytes).toBeLessThan(32 * 1024);
  expect(said).toEqual([]);
});

for (const [what, count] of [["an empty list", 0], ["fifty todos", 50]]) {
  for (const [shape, width] of [["wide", 1000], ["narrow", 390]]) {
    test(`nothing moves when the stream of ${what} connects, breaks and connects (${shape})`, async ({ server, open }) => {
      const ids = await server.seed(...Array.from({ length: count }, (_, number) => `Todo ${number}`));
      const page = await open({ viewport: { width, height: 720 } });
      await watchShifts(page);
      await page.goto("/");
      const todos = new TodoPage(page);
      await expect(todos.items).toHaveCount(count);
      await todos.isConnected();
      await drawn(page);
      await page.context().setOffline(true);
      await expect(todos.connection).toBeVisible();
      await drawn(page);
      // After the reconnection, the whole list is drawn again over the existing one.
      await page.context().setOffline(false);
      await expect(todos.connection).toBeHidden();
      if (count > 0) {
        await server.command({ type: "complete", id: ids[0] });
        await todos.hasCompleted("Todo 0");
      }
      await drawn(page);
      expect(await page.evaluate(() => window.shifts)).toEqual([]);
    });
  }
}

for (const [shape, width] of [["wide", 1000], ["narrow", 390]]) {
  test(`nothing moves while a page arrives slowly (${shape})`, async ({ server, open }) => {
    await server.seed("One", "Two", "Three");
    const { id } = await server.command({ type: "create", name: "Groceries" }, "list");
    await server.command({ type: "create_link", id, access: "read" }, "list");
    const page = await open({ owner: true, viewport: { width, height: 1200 } });
    await watchShifts(page);
    const proxy = await SlowProxy.before(server.url);
    try {
      for (const path of ["/", `/lists/${id}`]) {
        await page.goto(`${proxy.url}${path}`);
        await drawn(page);
        expect(await page.evaluate(() => window.shifts), path).toEqual([]);
      }
      await page.close();
    } finally {
      await proxy.stop();
    }
  });
}

test("only the style sheet delays the first paint", async ({ server, open }) => {
  await server.seed("One");
  const page = await open();
  await page.goto("/");
  await isLive(server, page);
  const blocking = await page.evaluate(() =>
    performance.getEntriesByType("resource")
      .filter(({ renderBlockingStatus }) => renderBlockingStatus === "blocking")
      .map(({ name }) => new URL(name).pathname));
  expect(blocking).toEqual([expect.stringMatching(/^\/static\/app-.*\.css$/)]);
});

test("the main content is painted before any script runs", async ({ server, open }) => {
  await server.seed("The largest thing on this page, for it is quite a long text that fills its line");
  const page = await open();
  // The script never arrives.
  await page.route("**/static/*.js", () => {});
  await page.goto("/", { waitUntil: "commit" });
  await expect(page.locator(".todo-list label")).toBeVisible();
  const largest = await page.evaluate(() => new Promise((resolve) => {
    new PerformanceObserver((list) => {
      resolve(list.getEntries().at(-1).element.closest(".todoapp") !== null);
    }).observe({ type: "largest-contentful-paint", buffered: true });
  }));
  expect(largest).toBe(true);
  const plain = await open({ javaScriptEnabled: false });
  await plain.goto("/");
  await expect(plain.locator(".todo-list label")).toBeVisible();
  await expect(plain.locator(".todo-count")).toHaveText("1 item left");
});

test("pages are not cached, and their assets are cached for ever", async ({ server }) => {
  const get = async (path) => {
    const { name, value } = await server.session();
    return fetch(`${server.url}${path}`, { headers: { accept: "text/html", cookie: `${name}=${value}` } });
  };
  const { id } = await server.command({ type: "create", name: "Groceries" }, "list");
  for (const path of ["/", "/active", "/completed", "/lists", `/lists/${id}`, "/nowhere"]) {
    const response = await get(path);
    expect(response.headers.get("cache-control"), path).toBe("no-store");
    expect(response.headers.get("content-type"), path).toBe("text/html; charset=utf-8");
    expect(response.headers.get("content-security-policy"), path).toContain("default-src 'none'");
  }
  const page = await (await get("/")).text();
  const assets = [...page.matchAll(/(?:href|src)="(\/static\/[^"]+)"/g)].map(([, path]) => path);
  expect(assets).toHaveLength(3);
  for (const path of assets) {
    const response = await get(path);
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  }
});

/** Creates many todos, some at the same time. */
const seedMany = async (server, count) => {
  let next = 0;
  const worker = async () => {
    while (next < count) {
      next += 1;
      await server.command({ type: "create", text: `Todo ${next}` });
    }
  };
  await Promise.all(Array.from({ length: 50 }, worker));
};

/** Follows a page's stream like the page, and returns what has arrived. */
const follow = async (server, id) => {
  const stopping = new AbortController();
  const response = await fetch(`${server.url}/api/sse/todos`, {
    headers: { "last-event-id": id },
    signal: stopping.signal,
  });
  const received = { bytes: 0, text: "" };
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of response.body) {
      received.bytes += bytes.length;
      received.text += decoder.decode(bytes, { stream: true });
    }
  })().catch((error) => {
    if (error.name !== "AbortError") throw error;
  });
  const stop = async () => {
    stopping.abort();
    await reading;
  };
  return { received, stop };
};

test("ten thousand todos fit into small pages and patches", async ({ server, visit }) => {
  test.setTimeout(120_000);
  await seedMany(server, 10_000);
  const page = await fetch(server.url, { headers: { accept: "text/html" } });
  expect((await page.arrayBuffer()).byteLength).toBeLessThan(100 * 1024);

  const ada = await visit();
  await expect(ada.items).toHaveCount(50);
  await expect(ada.count).toHaveText("10000 items left");
  const seen = new Set(await ada.labels.allTextContents());
  for (let number = 2; number <= 3; number += 1) {
    await ada.page.getByRole("link", { name: "Next page" }).click();
    await expect(ada.page).toHaveURL(/\?after=[0-9]+$/);
    await expect(ada.page.getByRole("link", { name: "First page" })).toBeVisible();
    await expect(ada.items).toHaveCount(50);
    await expect.poll(async () => seen.has(await ada.labels.first().textContent())).toBe(false);
    for (const text of await ada.labels.allTextContents()) seen.add(text);
    expect(seen.size).toBe(50 * number);
  }
  await ada.page.getByRole("link", { name: "First page" }).click();
  await expect(ada.page).toHaveURL(/\/$/);

  // The id with which the page itself begins.
  const html = await (await fetch(server.url)).text();
  const [, id] = /'last-event-id': '([0-9]+[.][0-9a-z]{6}-[0-9]+)'/.exec(html);
  const stream = await follow(server, id);
  await ada.add("One more");
  await expect(ada.count).toHaveText("10001 items left");
  await expect.poll(() => stream.received.text).toContain("10001");
  await stream.stop();
  expect(stream.received.bytes).toBeLessThan(10 * 1024);

  const bob = await visit();
  const text = await bob.labels.nth(20).textContent();
  await bob.toggle(text).check();
  await ada.hasCompleted(text);
  await expect(ada.count).toHaveText("10000 items left");
});
