// Every page is accessible to every visitor: checked by axe, and by the keyboard alone.

import AxeBuilder from "@axe-core/playwright";

import { expect, test } from "../fixtures.js";
import { overflow } from "../todo-page.js";

const WIDE = { width: 1000, height: 720 };
const NARROW = { width: 320, height: 640 };
// The visible part of a wide window at twice the size.
const ZOOMED = { width: 500, height: 360 };

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Expects that axe finds no violation on a page. */
const isAccessible = async (page) => {
  const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
  const told = violations.map(({ id, nodes }) => `${page.url()} ${id}: ${nodes.map(({ html }) => html).join("\n")}`);
  expect(told).toEqual([]);
};

/** Expects all controls to be large enough for a finger. */
const hasLargeTargets = async (page) => {
  const small = await page.evaluate(() => {
    // Links within sentences are exempt: they are as large as their text.
    const targets = document.querySelectorAll("button, summary, input:not([type=hidden]), .filters a, .more a");
    return [...targets]
      .filter((target) => target.checkVisibility())
      .map((target) => [target.outerHTML.slice(0, 80), target.getBoundingClientRect()])
      .filter(([, { width, height }]) => width < 24 || height < 24);
  });
  expect(small).toEqual([]);
};

const isFine = async (page) => {
  expect(await overflow(page)).toBe(0);
  await hasLargeTargets(page);
  // The zoomed page is the narrow page in other proportions, and axe has checked that one.
  if (page.viewportSize().width !== ZOOMED.width) await isAccessible(page);
};

/** Fills the shared list, a list in use and an archived list. */
const fill = async (server) => {
  const [done] = await server.seed("Read the design", "Open this page in a second browser", "w".repeat(300));
  await server.command({ type: "complete", id: done });
  const { id: open } = await server.command({ type: "create", name: "Groceries" }, "list");
  const { id: archived } = await server.command({ type: "create", name: "Old plans" }, "list");
  await server.command({ type: "create", text: "Milk", list: open });
  await server.command({ type: "create", text: "Conquer the world", list: archived });
  await server.command({ type: "archive", id: archived }, "list");
  return { open, archived };
};

for (const colorScheme of ["light", "dark"]) {
  for (const [shape, viewport] of Object.entries({ wide: WIDE, narrow: NARROW, zoomed: ZOOMED })) {
    const options = { colorScheme, viewport, reducedMotion: "reduce" };

    test(`every page is accessible (${shape}, ${colorScheme})`, async ({ server, open }) => {
      test.slow();
      const page = await open({ ...options, owner: true });
      for (const path of ["/", "/active", "/completed", "/lists"]) {
        await page.goto(path);
        await isFine(page);
      }
      const lists = await fill(server);
      const paths = ["/", "/active", "/completed", "/lists", `/lists/${lists.open}`, `/lists/${lists.archived}`];
      for (const path of [...paths, "/nowhere", "/styleguide"]) {
        await page.goto(path);
        await isFine(page);
      }
    });

    test(`every state is accessible (${shape}, ${colorScheme})`, async ({ server, visit }) => {
      await fill(server);
      const page = await visit(options);
      await page.edit("Read the design");
      await isFine(page.page);
      await page.page.keyboard.press("Escape");
      await page.add("x".repeat(501));
      await expect(page.notice).toHaveText(/at most 500/);
      await isFine(page.page);
      await page.isConnected();
      await page.page.context().setOffline(true);
      await expect(page.connection).toBeVisible();
      await isFine(page.page);
      await page.page.context().setOffline(false);
      await expect(page.connection).toBeHidden();

      // Axe needs scripts itself, so only the site's own script is blocked.
      await page.page.route("**/static/*.js", (route) => route.abort());
      await page.page.reload();
      await isFine(page.page);
      await page.add("x".repeat(501));
      await expect(page.page).toHaveURL(/\/todos$/);
      await expect(page.notice).toHaveText(/at most 500/);
      await isFine(page.page);
      await page.editButton("Read the design").click();
      await expect(page.openEditor).toHaveCount(1);
      await isFine(page.page);
    });
  }
}

/** Returns true if the focus is visible. */
const isFocusSeen = (page) =>
  page.evaluate(() => {
    const focused = document.activeElement;
    const shows = (element) => {
      const { outlineStyle, outlineWidth, boxShadow, opacity } = getComputedStyle(element);
      const hasOutline = outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
      // A busy control pulses.
      return Number(opacity) > 0.3 && (hasOutline || boxShadow !== "none");
    };
    return shows(focused) || shows(focused.closest(".entry") ?? focused);
  });

/** Goes through a page by Tab, and returns the names of the stops. */
const tabThrough = async (page) => {
  const stops = [];
  // Begins at the top of the page, wherever the focus is.
  await page.mouse.click(1, 1);
  for (;;) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const { ariaLabel, textContent, tagName } = document.activeElement;
      return tagName === "BODY" || tagName === "HTML" ? undefined : ariaLabel ?? textContent.trim();
    });
    if (stop === undefined || stop === stops[0]) return stops;
    stops.push(stop);
    await expect.poll(() => isFocusSeen(page), `the focus is seen at ${stop}`).toBe(true);
    expect(stops.length).toBeLessThan(100);
  }
};

for (const colorScheme of ["light", "dark"]) {
  test(`the focus is visible on every control (${colorScheme})`, async ({ server, visit }) => {
    const [done] = await server.seed("One", "Two");
    await server.command({ type: "complete", id: done });
    await server.command({ type: "create", name: "Groceries" }, "list");
    const page = await visit({ colorScheme, owner: true });
    const site = ["Home", "My lists", "Auto", "Light", "Dark"];
    expect(await tabThrough(page.page)).toEqual([
      ...site,
      "Mark all as complete",
      "New todo",
      "Add",
      ...["One", "Two"].flatMap((text) => [text, `Edit ${text}`, `Delete ${text}`]),
      "All",
      "Active",
      "Completed",
      "Clear completed",
    ]);
    await page.page.goto("/lists");
    const stops = await tabThrough(page.page);
    expect(stops).toEqual([
      ...site,
      "Name of a new list",
      "Create",
      "Groceries",
      "Rename Groceries",
      "Archive Groceries",
      "todos",
    ]);
    await page.page.goto("/styleguide");
    expect((await tabThrough(page.page)).length).toBeGreaterThan(4);
  });
}

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with" : "without";
  test(`every action works by keyboard alone, ${how} JavaScript`, async ({ visit }) => {
    const page = await visit({ javaScriptEnabled });
    const { keyboard } = page.page;
    const tabTo = async (locator) => {
      for (let stop = 0; stop < 40; stop += 1) {
        if (await locator.evaluate((element) => element === document.activeElement)) return;
        await keyboard.press("Tab");
      }
      await expect(locator).toBeFocused();
    };
    await expect(page.field).toBeFocused();
    for (const text of ["One", "Two", "Three"]) {
      await tabTo(page.field);
      await keyboard.type(text);
      await keyboard.press("Enter");
      await expect(page.item(text)).toBeVisible();
    }
    await tabTo(page.toggle("Two"));
    await keyboard.press("Space");
    await page.hasCompleted("Two");
    await tabTo(page.editButton("Three"));
    await keyboard.press("Enter");
    const field = page.item("Three").locator(".edit");
    await tabTo(field);
    await keyboard.press("End");
    await keyboard.type(" and a half");
    await keyboard.press("Enter");
    await page.shows("One", "Two", "Three and a half");
    await tabTo(page.deleteButton("One"));
    await keyboard.press("Enter");
    await page.shows("Two", "Three and a half");
    await tabTo(page.filter("Active"));
    await keyboard.press("Enter");
    await page.shows("Three and a half");
    await tabTo(page.clearCompleted);
    await keyboard.press("Enter");
    await expect(page.clearCompleted).toHaveCount(0);
    await tabTo(page.filter("All"));
    await keyboard.press("Enter");
    await page.isFilteredBy("All");
    await page.shows("Three and a half");
    await tabTo(page.toggleAll);
    await keyboard.press("Space");
    await page.hasCompleted("Three and a half");
  });
}

test("nothing moves for visitors who prefer reduced motion", async ({ server, visit }) => {
  await server.seed("One", "Two");
  const page = await visit({ reducedMotion: "reduce" });
  let letGo;
  const held = new Promise((resolve) => {
    letGo = resolve;
  });
  await page.page.route("**/todos/**", async (route) => {
    if (route.request().method() === "POST") await held;
    await route.fallback();
  });
  const moving = () =>
    page.page.evaluate(() => document.getAnimations()
      .filter((animation) => animation instanceof CSSAnimation)
      .map(({ animationName }) => animationName));
  await page.toggle("One").click();
  await page.delete("Two");
  await page.toggleAll.click();
  await expect(page.page.locator("form[aria-busy=true]")).toHaveCount(3);
  expect(await moving()).toEqual([]);
  await page.isConnected();
  await page.page.context().setOffline(true);
  await expect(page.connection).toBeVisible();
  expect(await moving()).toEqual([]);
  await page.page.context().setOffline(false);
  letGo();
  await expect(page.page.locator("form[aria-busy=true]")).toHaveCount(0);
});

test("screen readers announce messages, the connection and the count", async ({ visit }) => {
  const page = await visit();
  await expect(page.notice).toHaveRole("alert");
  await expect(page.failed).toHaveRole("alert");
  await expect(page.connection).toHaveRole("status");
  await page.addAll("One");
  await expect(page.count).toHaveRole("status");
  await expect(page.filter("All")).toHaveAttribute("aria-current", "page");
  await page.add("x".repeat(501));
  await expect(page.notice).toHaveText(/at most 500/);
  await expect(page.field).toHaveAccessibleDescription(/at most 500/);
  await expect(page.editButton("One")).toHaveAccessibleName("Edit One");
});
