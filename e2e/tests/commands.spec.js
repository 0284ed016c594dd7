// The page's handling of commands that are refused, slow, repeated or lost.

import { expect, test } from "../fixtures.js";

const COMMANDS = "**/todos**";

/** Lets the page's commands get answers that are not the application's. */
const answerWith = (page, status) =>
  page.route(COMMANDS, (route) =>
    route.request().method() === "POST" ? route.fulfill({ status, body: "<h1>Oops</h1>" }) : route.fallback(),
  );

/** Holds a page's commands back until the returned function is called. */
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

/** Makes a todo's forms lead to a deleted todo, as if the page had missed the deletion. */
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
  test(`a refused toggle shows the reason and the true state again (${was})`, async ({ server, visit }) => {
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

test("a refused deletion shows the reason, and the todo stays", async ({ server, visit }) => {
  await server.seed("Lasting");
  const page = await visit();
  await outdate(server, page, "Lasting");
  await page.delete("Lasting");
  await expect(page.notice).toHaveText("There is no such todo.");
  await page.shows("Lasting");
  // The next successful command clears the reason.
  await page.add("Another");
  await page.shows("Lasting", "Another");
  await expect(page.notice).toHaveText("");
});

for (const status of [403, 502, 503]) {
  test(`an answer from elsewhere (${status}) is reported, and the change is undone`, async ({ server, visit }) => {
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

    // Another attempt succeeds.
    await page.page.unrouteAll();
    await page.field.press("Enter");
    await page.shows("One", "Typed with care");
    await expect(page.failed).toHaveText("");
    await page.toggle("One").click();
    await page.hasCompleted("One");
  });
}

test("a draft survives an answer from elsewhere", async ({ server, visit }) => {
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

test("text that was typed in the meantime is kept when the previous todo is refused", async ({ visit }) => {
  const page = await visit();
  const letGo = await hold(page.page);
  await page.add("x".repeat(501));
  await expect(page.field).toHaveValue("");
  await page.field.pressSequentially("The next");
  letGo();
  await expect(page.notice).toHaveText(/at most 500 characters/);
  await expect(page.field).toHaveValue("The next");
});

test("unsent todos are shown, and leaving the page asks for confirmation", async ({ visit }) => {
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

test("a new todo at the end of a long list can be reached by its link", async ({ server, visit }) => {
  await server.seed(...Array.from({ length: 60 }, (_, number) => `Todo ${number}`));
  const page = await visit();
  await page.add("Far down");
  await page.page.getByRole("status").getByRole("link", { name: "Show it" }).click();
  await expect(page.label("Far down")).toBeVisible();
  await page.toggle("Far down").click();
  await page.hasCompleted("Far down");
});

test("a command in progress is shown until it ends, and its outcome at once", async ({ server, visit }) => {
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

test("a second press of a button has no effect while the first is in progress", async ({ server, visit }) => {
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

test("a todo is added once if its answer gets lost", async ({ server, visit }) => {
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
    // The command is carried out, but the answer gets lost.
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

test("the same text sent twice gives two todos", async ({ server, visit }) => {
  const page = await visit();
  await page.add("Again");
  await page.shows("Again");
  await page.add("Again");
  await page.shows("Again", "Again");
  expect(await server.todos()).toEqual(["Again", "Again"]);
});
