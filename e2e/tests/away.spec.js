// Pages that were out of sight, or opened before anybody was known, are right again.

import { expect, test } from "../fixtures.js";
import { TodoPage } from "../todo-page.js";

test.use({ hasGithub: true });

const button = (page, name) => page.getByRole("button", { name, exact: true });

/** Puts a page out of sight, as another tab does in front of it, or into sight again. */
const show = async (page, isShown) => {
  const hidden = await page.evaluate((isHidden) => {
    Object.defineProperty(document, "hidden", { get: () => isHidden, configurable: true });
    Object.defineProperty(document, "visibilityState", {
      get: () => (isHidden ? "hidden" : "visible"),
      configurable: true,
    });
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    return document.hidden;
  }, !isShown);
  expect(hidden).toBe(!isShown);
};

/** Waits until one visitor has the list open, on whichever pages. */
const isAlone = (page) => expect(page.locator("#presence")).toHaveText("Only you are here");

const another = async (page, path) => {
  const other = await page.context().newPage();
  await other.goto(path);
  return other;
};

/** Two pages of a visitor; the other is out of sight, and has no stream. */
const oneOutOfSight = async ({ open, visit }) => {
  const page = await open();
  await page.goto("/");
  await button(page, "Dark").click();
  const other = await another(page, "/");
  const { page: watcher } = await visit();
  await expect(watcher.locator("#presence")).toHaveText("2 people are here");
  await show(other, false);
  await page.goto("/lists");
  await isAlone(watcher);
  return { page, other, watcher };
};

test("a page out of sight looks as it should when it is looked at again", async ({ open, visit }) => {
  const { page, other } = await oneOutOfSight({ open, visit });

  await button(page, "Light").click();
  await expect(button(page, "Light")).toHaveAttribute("aria-pressed", "true");
  await expect(button(other, "Dark")).toHaveAttribute("aria-pressed", "true");
  await show(other, true);
  await expect(button(other, "Light")).toHaveAttribute("aria-pressed", "true");
});

test("a page out of sight knows its visitor when it is looked at again", async ({ open, visit }) => {
  const { page, other, watcher } = await oneOutOfSight({ open, visit });
  await button(page, "Sign in with GitHub").click();
  await button(page, "Authorize as octocat").click();
  await expect(page.locator(".user")).toHaveText("The Octocat");
  await expect(button(other, "Sign in with GitHub")).toBeVisible();
  await show(other, true);
  await expect(other.locator(".user")).toHaveText("The Octocat");

  await show(other, false);
  await isAlone(watcher);
  await button(page, "Sign out").click();
  await expect(button(page, "Sign in with GitHub")).toBeVisible();
  await show(other, true);
  await expect(button(other, "Sign in with GitHub")).toBeVisible();
});

test("a page of a list that has gone meanwhile says so", async ({ open }) => {
  const page = await open();
  await page.goto("/lists");
  await page.getByRole("textbox", { name: "Name of a new list" }).fill("Mine");
  await button(page, "Create").click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Mine");
  await button(page, "Sign in with GitHub").click();
  await button(page, "Authorize as octocat").click();
  await expect(page.locator(".user")).toHaveText("The Octocat");
  const other = await another(page, page.url());
  await expect(other.getByRole("heading", { level: 1 })).toHaveText("Mine");
  await show(other, false);
  await button(page, "Sign out").click();
  await expect(button(page, "Sign in with GitHub")).toBeVisible();
  await show(other, true);
  await expect(other.getByText("There is no such list.")).toBeVisible();
  await expect(other.getByText("Mine")).toBeHidden();
});

test("pages that were open before their visitor was known hear of them, too", async ({ open }) => {
  const page = await open();
  await page.goto("/");
  const other = await another(page, "/");
  const lists = await another(page, "/lists");
  // Only who has a session is one person on two pages.
  await expect(other.locator("#presence")).toHaveText("2 people are here");
  await new TodoPage(page).add("Milk");
  await isAlone(page);
  await isAlone(other);
  await button(lists, "Dark").click();
  for (const each of [page, other]) {
    await expect(button(each, "Dark")).toHaveAttribute("aria-pressed", "true");
  }
});

test("pages that were open before hear of what a form without JavaScript leads to", async ({ open }) => {
  const page = await open();
  await page.goto("/");
  const other = await another(page, "/");
  await button(page, "Dark").click();
  await expect(button(other, "Dark")).toHaveAttribute("aria-pressed", "true");
  await isAlone(other);
});

test.describe("where everybody has a list of their own", () => {
  test.use({ settings: { IRONSTAR_HOME: "own" } });

  test("the first todo reaches the visitor's other pages, which were empty", async ({ open }) => {
    const page = await open();
    await page.goto("/");
    const other = await another(page, "/");
    await expect(other.getByRole("button", { name: "Link to view" })).toHaveCount(0);
    const half = other.getByRole("textbox", { name: "New todo" });
    await half.fill("Half a thought");
    await new TodoPage(page).add("Milk");
    for (const each of [page, other]) {
      await expect(new TodoPage(each).label("Milk")).toBeVisible();
      await expect(each.getByRole("button", { name: "Link to view" })).toBeVisible();
    }
    await expect(half).toHaveValue("Half a thought");
  });
});
