// What the page says of its connection, and how it finds back.

import { expect, test } from "../fixtures.js";

const LOST = "Connection lost. Trying again…";

/** Follows how many streams a page has open at the same time. */
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

test("a crash of the server is told, until it is over", async ({ server, visit }) => {
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

test("a browser that is offline says so, until it is not", async ({ server, visit }) => {
  const page = await visit();
  await page.addAll("Before");
  // Or it would come when the page is said to be offline.
  await page.isConnected();
  await page.page.context().setOffline(true);
  await banner(page, true);
  await server.seed("Meanwhile");
  await page.page.context().setOffline(false);
  await banner(page, false);
  await page.shows("Before", "Meanwhile");
});

test("a stream that hangs without a word is noticed, and opened anew", async ({ server, visit }) => {
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

test("a page has one stream, whatever happens to it", async ({ server, visit }) => {
  // A page that has none, of a visitor who is known: no other begins.
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

test("a page that is shown again after a while has what happened meanwhile", async ({ server, visit }) => {
  const page = await visit();
  await page.addAll("Before");
  // Another page, and back: the browser may have kept this one, or not.
  await page.page.goto("/lists");
  await server.seed("Meanwhile");
  await page.page.goBack();
  await page.shows("Before", "Meanwhile");
  await server.seed("After");
  await page.shows("Before", "Meanwhile", "After");
});

test("two browsers have seen the same when both are done", async ({ server, visit }) => {
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
  // What was asked for last has been carried out by now.
  await expect(ada.page.locator("form[aria-busy=true]")).toHaveCount(0);
  await expect(bob.page.locator("form[aria-busy=true]")).toHaveCount(0);
  const todos = await server.todos();
  expect(todos).toHaveLength(26);
  await ada.shows(...todos);
  await bob.shows(...todos);
  // All but what fields hold, which could be drafts.
  const html = async ({ page }) => (await page.locator("#todos").innerHTML()).replaceAll(/ value="[^"]*"/g, "");
  const truth = await html(await visit());
  await expect.poll(() => html(ada)).toBe(truth);
  await expect.poll(() => html(bob)).toBe(truth);
});
