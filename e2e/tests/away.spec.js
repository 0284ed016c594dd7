// Pages that were hidden, or opened before the visitor had a session, become correct again.

import { expect, test } from "../fixtures.js";
import { TodoPage } from "../todo-page.js";

test.use({ hasGithub: true });

const button = (page, name) => page.getByRole("button", { name, exact: true });

/** Hides a page, as another tab in front of it does, or shows it again. */
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

/** Waits until a single visitor has the list open, on any number of pages. */
const isAlone = (page) => expect(page.locator("#presence")).toHaveText("Only you are here");

const another = async (page, path) => {
  const other = await page.context().newPage();
  await other.goto(path);
  return other;
};

/** Opens two pages of a visitor. The other one is hidden and has no stream. */
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

test("a hidden page has the new theme when it is shown again", async ({ open, visit }) => {
  const { page, other } = await oneOutOfSight({ open, visit });

  await button(page, "Light").click();
  await expect(button(page, "Light")).toHaveAttribute("aria-pressed", "true");
  await expect(button(other, "Dark")).toHaveAttribute("aria-pressed", "true");
  await show(other, true);
  await expect(button(other, "Light")).toHaveAttribute("aria-pressed", "true");
});

test("a hidden page knows the signed-in visitor when it is shown again", async ({ open, visit }) => {
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

test("a hidden page of a list that is no longer visible says so when it is shown again", async ({ open }) => {
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

test("pages that were opened before the session began learn of it", async ({ open }) => {
  const page = await open();
  await page.goto("/");
  const other = await another(page, "/");
  const lists = await another(page, "/lists");
  // Without a session, each page counts as a visitor.
  await expect(other.locator("#presence")).toHaveText("2 people are here");
  await new TodoPage(page).add("Milk");
  await isAlone(page);
  await isAlone(other);
  await button(lists, "Dark").click();
  for (const each of [page, other]) {
    await expect(button(each, "Dark")).toHaveAttribute("aria-pressed", "true");
  }
});

test("pages that were opened before learn of a session that a plain form began", async ({ open }) => {
  const page = await open();
  await page.goto("/");
  const other = await another(page, "/");
  await button(page, "Dark").click();
  await expect(button(other, "Dark")).toHaveAttribute("aria-pressed", "true");
  await isAlone(other);
});

test.describe("with a list of one's own as the start page", () => {
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
