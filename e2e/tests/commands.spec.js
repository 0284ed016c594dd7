// What the page makes of commands that are refused, slow, doubled or lost.

import { expect, test } from "../fixtures.js";

const COMMANDS = "**/todos**";

/** Has a page's commands answered by something that is not the application. */
const answerWith = (page, status) =>
  page.route(COMMANDS, (route) =>
    route.request().method() === "POST" ? route.fulfill({ status, body: "<h1>Oops</h1>" }) : route.fallback(),
  );

/** Keeps a page's commands back until they are let go. */
const hold = async (page) => {
  let letGo;
  const held = new Promise((resolve) => {
    letGo = resolve;
  });
  await page.route(COMMANDS, async (route) => {
    if (route.request().method() === "POST") await held;
    await route.fallback();
  });
  return letGo;
};

/** Makes a todo's forms lead to one that is gone, as if that had not got here. */
const outdate = async (server, page, text) => {
  const [gone] = await server.seed("Gone");
  await server.command({ type: "delete", id: gone });
  await page.item(text).locator("form").evaluateAll(
    (forms, gone) => forms.forEach((form) => form.action = form.action.replace(/[0-9a-f-]{36}/, gone)),
    gone,
  );
};

for (const isCompleted of [false, true]) {
  const was = isCompleted ? "completed" : "active";
  test(`a refused toggle says why, and shows again what is true (${was})`, async ({ server, visit }) => {
    const [id] = await server.seed("Lasting");
    if (isCompleted) await server.command({ type: "complete", id });
    const page = await visit();
    await outdate(server, page, "Lasting");
    await page.toggle("Lasting").click();
    await expect(page.notice).toHaveText("There is no such todo.");
    await expect(page.toggle("Lasting")).toBeChecked({ checked: isCompleted });
    await expect(page.page.locator("[aria-busy]")).toHaveCount(0);
  });
}

test("a refused deletion says why, and the todo stays", async ({ server, visit }) => {
  await server.seed("Lasting");
  const page = await visit();
  await outdate(server, page, "Lasting");
  await page.delete("Lasting");
  await expect(page.notice).toHaveText("There is no such todo.");
  await page.shows("Lasting");
  // The next command that is carried out takes the reason away.
  await page.add("Another");
  await page.shows("Lasting", "Another");
  await expect(page.notice).toHaveText("");
});

for (const status of [403, 502, 503]) {
  test(`an answer that is not the application's (${status}) says so and undoes`, async ({ server, visit }) => {
    await server.seed("One");
    const page = await visit();
    await answerWith(page.page, status);
    await page.toggle("One").click();
    await expect(page.failed).toHaveText(`That did not work (${status}). Please try again.`);
    await expect(page.toggle("One")).not.toBeChecked();
    await page.add("Typed with care");
    await expect(page.failed).toHaveText(`That did not work (${status}). Please try again.`);
    await expect(page.field).toHaveValue("Typed with care");
    await expect(page.page.locator("[aria-busy]")).toHaveCount(0);

    // Trying again, as it says, helps.
    await page.page.unrouteAll();
    await page.field.press("Enter");
    await page.shows("One", "Typed with care");
    await expect(page.failed).toHaveText("");
    await page.toggle("One").click();
    await page.hasCompleted("One");
  });
}

test("a draft survives an answer that is not the application's", async ({ server, visit }) => {
  await server.seed("One");
  const page = await visit();
  await answerWith(page.page, 502);
  await page.rename("One", "Uno");
  await expect(page.failed).toHaveText("That did not work (502). Please try again.");
  const field = page.item("One").locator(".edit");
  await expect(field).toBeVisible();
  await expect(field).toHaveValue("Uno");
  await page.page.unrouteAll();
  await field.press("Enter");
  await page.shows("Uno");
  await expect(page.openEditor).toHaveCount(0);
});

test("what was typed meanwhile is kept when the todo before is refused", async ({ visit }) => {
  const page = await visit();
  const letGo = await hold(page.page);
  await page.add("x".repeat(501));
  await expect(page.field).toHaveValue("");
  await page.field.pressSequentially("The next");
  letGo();
  await expect(page.notice).toHaveText(/at most 500 characters/);
  await expect(page.field).toHaveValue("The next");
});

test("what is not sent yet is said, and is not left behind unawares", async ({ visit }) => {
  const page = await visit();
  const pending = page.page.locator("#pending");
  const letGo = await hold(page.page);
  await page.add("Milk");
  await page.add("Bread");
  await expect(pending).toHaveText("Not sent yet, trying again: Milk · Bread");
  await page.add("x".repeat(400));
  await expect(pending).toContainText("xxx");
  expect(await page.overflow()).toBe(0);
  const isHeld = await page.page.evaluate(() => !window.dispatchEvent(new Event("beforeunload", { cancelable: true })));
  expect(isHeld).toBe(true);
  letGo();
  await page.shows("Milk", "Bread", "x".repeat(400));
  await expect(pending).toHaveText("");
  const isFree = await page.page.evaluate(() => window.dispatchEvent(new Event("beforeunload", { cancelable: true })));
  expect(isFree).toBe(true);
});

test("what is added to a long list can be gone to", async ({ server, visit }) => {
  await server.seed(...Array.from({ length: 60 }, (_, number) => `Todo ${number}`));
  const page = await visit();
  await page.add("Far down");
  await page.page.getByRole("status").getByRole("link", { name: "Show it" }).click();
  await expect(page.label("Far down")).toBeVisible();
  await page.toggle("Far down").click();
  await page.hasCompleted("Far down");
});

test("what is under way shows it until it ends, and shows its outcome at once", async ({ server, visit }) => {
  await server.seed("One", "Two");
  const page = await visit();
  const busy = page.page.locator("form[aria-busy=true]");
  const letGo = await hold(page.page);
  await page.toggle("One").click();
  await expect(page.toggle("One")).toBeChecked();
  await expect(page.item("One").locator("form[aria-busy=true]")).toHaveCount(1);
  await page.delete("Two");
  await page.add("Three");
  await expect(busy).toHaveCount(3);
  await page.shows("One", "Two");
  letGo();
  await page.shows("One", "Three");
  await expect(busy).toHaveCount(0);
  await page.hasCompleted("One");
  await expect(page.notice).toHaveText("");
  await expect(page.failed).toHaveText("");
});

test("a button that is pressed again while it is under way does nothing more", async ({ server, visit }) => {
  await server.seed("One");
  const page = await visit();
  let sent = 0;
  page.page.on("request", (request) => {
    sent += request.method() === "POST";
  });
  const letGo = await hold(page.page);
  await page.toggle("One").click();
  await page.toggle("One").click();
  await page.toggle("One").click();
  letGo();
  await expect(page.page.locator("form[aria-busy=true]")).toHaveCount(0);
  await page.hasCompleted("One");
  await expect(page.notice).toHaveText("");
  expect(sent).toBe(1);
});

test("a todo whose answer got lost on the way is added once", async ({ server, visit }) => {
  const page = await visit();
  const keys = [];
  await page.page.route(COMMANDS, async (route) => {
    if (route.request().method() === "GET") {
      await route.fallback();
      return;
    }
    keys.push(route.request().headers()["idempotency-key"]);
    if (keys.length > 1) {
      await route.fallback();
      return;
    }
    // Carried out, but nobody hears of it.
    await route.fetch();
    await route.abort("connectionreset");
  });
  await page.add("Once");
  await expect.poll(() => keys.length).toBe(2);
  expect(keys[0]).toBe(keys[1]);
  await expect(page.page.locator("form[aria-busy=true]")).toHaveCount(0);
  await page.shows("Once");
  await page.add("Twice");
  await page.shows("Once", "Twice");
  expect(await server.todos()).toEqual(["Once", "Twice"]);
  await expect(page.failed).toHaveText("");
});

test("the same text twice is two todos", async ({ server, visit }) => {
  const page = await visit();
  await page.add("Again");
  await page.shows("Again");
  await page.add("Again");
  await page.shows("Again", "Again");
  expect(await server.todos()).toEqual(["Again", "Again"]);
});
