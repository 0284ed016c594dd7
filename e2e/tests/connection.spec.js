// The page's report on its connection, and how the connection recovers.

import { expect, test } from "../fixtures.js";

const LOST = "Connection lost. Trying again…";

/** Counts the streams that a page has open at the same time. */
const countStreams = (page) => {
  const isStream = (request) => request.url().includes("/api/sse/");
  const streams = { open: 0, opened: 0 };
  page.on("request", (request) => {
    if (!isStream(request)) return;
    streams.open += 1;
    streams.opened += 1;
  });
  for (const end of ["requestfinished", "requestfailed"]) {
    page.on(end, (request) => {
      streams.open -= isStream(request);
    });
  }
  return streams;
};

const banner = async ({ connection }, isLost) => {
  await expect(connection).toHaveText(isLost ? LOST : "");
  await expect(connection).toBeVisible({ visible: isLost });
};

test("a crash of the server is shown until it is over", async ({ server, visit }) => {
  const page = await visit();
  await page.addAll("Before");
  await banner(page, false);
  await server.stop("SIGKILL");
  await banner(page, true);
  await server.start();
  await banner(page, false);
  await server.seed("After");
  await page.shows("Before", "After");
});

test("a browser shows that it is offline until it is online again", async ({ server, visit }) => {
  const page = await visit();
  await page.addAll("Before");
  // Otherwise the stream could connect after the page is set offline.
  await page.isConnected();
  await page.page.context().setOffline(true);
  await banner(page, true);
  await server.seed("Meanwhile");
  await page.page.context().setOffline(false);
  await banner(page, false);
  await page.shows("Before", "Meanwhile");
});

test("a silent stream is noticed and opened again", async ({ server, visit }) => {
  const page = await visit();
  await page.page.clock.install();
  await page.page.reload();
  await page.addAll("Before");
  server.freeze();
  await page.page.clock.fastForward(30_000);
  await banner(page, false);
  await page.page.clock.fastForward(10_000);
  await banner(page, true);
  server.thaw();
  await banner(page, false);
  await server.seed("After");
  await page.shows("Before", "After");
});

test("a page has one stream through all changes", async ({ server, visit }) => {
  // Begins on a page without a stream, with a session: so no further stream is opened for a
  // new session.
  const page = await visit({ path: "/styleguide", owner: true });
  const streams = countStreams(page.page);
  await page.page.goto("/");
  await page.addAll("One");
  expect(streams).toEqual({ open: 1, opened: 1 });

  await page.toggle("One").check();
  await page.hasCompleted("One");
  await page.edit("One");
  expect(streams).toEqual({ open: 1, opened: 1 });

  await page.isConnected();
  await page.page.context().setOffline(true);
  await banner(page, true);
  await page.page.context().setOffline(false);
  await banner(page, false);
  await expect.poll(() => streams.open).toBe(1);

  await server.stop("SIGKILL");
  await banner(page, true);
  await server.start();
  await banner(page, false);
  await server.seed("Two");
  await page.shows("One", "Two");
  await expect.poll(() => streams.open).toBe(1);
  expect(streams.opened).toBeGreaterThan(2);
});

test("a page that is shown again has all changes in between", async ({ server, visit }) => {
  const page = await visit();
  await page.addAll("Before");
  // To another page and back. The browser may or may not have kept this page.
  await page.page.goto("/lists");
  await server.seed("Meanwhile");
  await page.page.goBack();
  await page.shows("Before", "Meanwhile");
  await server.seed("After");
  await page.shows("Before", "Meanwhile", "After");
});

test("two browsers show the same once all commands are done", async ({ server, visit }) => {
  const ada = await visit();
  const bob = await visit();
  const texts = Array.from({ length: 30 }, (_, number) => `Todo ${number}`);
  const ids = await server.seed(...texts);
  // All at the same time, in any order.
  await Promise.all([
    ada.add("Ada's"),
    bob.add("Bob's"),
    ...ids.filter((_, index) => index % 5 === 0).map((id) => server.command({ type: "complete", id })),
    ...ids.filter((_, index) => index % 5 === 1).map((id) => server.command({ type: "delete", id })),
    ...ids.filter((_, index) => index % 5 === 2).map((id) => server.command({ type: "rename", id, text: "New" })),
  ]);
  // By now the last command has been carried out.
  await expect(ada.page.locator("form[aria-busy=true]")).toHaveCount(0);
  await expect(bob.page.locator("form[aria-busy=true]")).toHaveCount(0);
  const todos = await server.todos();
  expect(todos).toHaveLength(26);
  await ada.shows(...todos);
  await bob.shows(...todos);
  // Except for the contents of fields, which could be drafts.
  const html = async ({ page }) => (await page.locator("#todos").innerHTML()).replaceAll(/ value="[^"]*"/g, "");
  const truth = await html(await visit());
  await expect.poll(() => html(ada)).toBe(truth);
  await expect.poll(() => html(bob)).toBe(truth);
});
