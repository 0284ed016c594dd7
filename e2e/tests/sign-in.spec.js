// Sign-in with GitHub, and the lists of a user.

import { expect, test } from "../fixtures.js";

test.use({ hasGithub: true });

const button = (page, name) => page.getByRole("button", { name, exact: true });

const signIn = async (page, login) => {
  await button(page, "Sign in with GitHub").click();
  await button(page, `Authorize as ${login}`).click();
};

const createList = async (page, name) => {
  await page.getByRole("link", { name: "My lists" }).click();
  await page.getByRole("textbox", { name: "Name of a new list" }).fill(name);
  await button(page, "Create").click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(name);
};

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with" : "without";
  test(`a user has their lists on every device, ${how} JavaScript`, async ({ open }) => {
    const laptop = await open({ javaScriptEnabled });
    await laptop.goto("/");
    await createList(laptop, "Made before");
    const address = laptop.url();
    await signIn(laptop, "octocat");
    // Back at the same page, signed in.
    await expect(laptop).toHaveURL(address);
    await expect(laptop.locator(".user")).toHaveText("The Octocat");
    await createList(laptop, "Made after");

    const phone = await open({ javaScriptEnabled });
    await phone.goto("/lists");
    await expect(phone.locator(".rows").first()).not.toContainText("Made");
    await signIn(phone, "octocat");
    await expect(phone).toHaveURL(/\/lists$/);
    await expect(phone.locator(".rows a")).toHaveText(["Made before", "Made after", "todos"]);

    await button(phone, "Sign out").click();
    await expect(button(phone, "Sign in with GitHub")).toBeVisible();
    await phone.goto(address);
    await expect(phone.getByText("There is no such list.")).toBeVisible();
    await signIn(phone, "hubot");
    await expect(phone.locator(".user")).toHaveText("Hubot");
    await expect(phone.getByText("There is no such list.")).toBeVisible();
  });
}

test("other tabs learn of a new theme, a sign-in and a sign-out", async ({ open }) => {
  const page = await open();
  await page.goto("/");
  await button(page, "Dark").click();
  const other = await page.context().newPage();
  await other.goto("/");
  await expect(other.locator("#presence")).toHaveText("Only you are here");
  const background = () => other.evaluate(() => getComputedStyle(document.body).color);
  const dark = await background();
  await button(page, "Light").click();
  await expect(button(other, "Light")).toHaveAttribute("aria-pressed", "true");
  expect(await background()).not.toBe(dark);
  const lists = await page.context().newPage();
  await lists.goto("/lists");
  const typed = other.getByRole("textbox", { name: "New todo" });
  await typed.fill("Half a thought");
  await signIn(page, "octocat");
  await expect(other.locator(".user")).toHaveText("The Octocat");
  await expect(typed).toHaveValue("Half a thought");
  await expect(lists.locator(".user")).toHaveText("The Octocat");
  await button(other, "Sign out").click();
  await expect(button(lists, "Sign in with GitHub")).toBeVisible();
  await expect(button(page, "Sign in with GitHub")).toBeVisible();
});

test("a list that is open in another tab disappears at sign-out", async ({ open }) => {
  const page = await open();
  await page.goto("/");
  await signIn(page, "octocat");
  await createList(page, "Mine");
  const other = await page.context().newPage();
  await other.goto(page.url());
  await expect(other.locator("#presence")).toHaveText("Only you are here");
  await button(page, "Sign out").click();
  await expect(other.getByText("There is no such list.")).toBeVisible();
});

test("a visitor whose sign-in fails or is cancelled stays signed out", async ({ open, github }) => {
  const page = await open();
  await page.goto("/lists");
  await button(page, "Sign in with GitHub").click();
  await button(page, "Cancel").click();
  await expect(page.getByText("so you are not signed in")).toBeVisible();
  // Another attempt from that page leads back to the page before.
  await signIn(page, "octocat");
  await expect(page).toHaveURL(/\/lists$/);
  await button(page, "Sign out").click();
  await expect(page).toHaveURL(/\/$/);
  await expect(button(page, "Sign in with GitHub")).toBeVisible();
  for (const [behaviour, said] of [
    ["error_body", "GitHub does not accept this sign-in"],
    ["fail", "GitHub cannot be reached at the moment"],
    ["garbage", "The answer of GitHub is invalid"],
    ["other_state", "This sign-in cannot be finished"],
  ]) {
    await github.behave(behaviour);
    await page.goto("/");
    await signIn(page, "octocat");
    await expect(page.getByText(said)).toBeVisible();
    await expect(button(page, "Sign in with GitHub")).toBeVisible();
  }
  await github.behave("normal");
  await page.goto("/");
  await signIn(page, "octocat");
  await expect(page.locator(".user")).toHaveText("The Octocat");
  await page.goBack();
  await expect(page.locator("body")).toBeVisible();
});

test("sign-out leads to the start page although the page learns of it first", async ({ open }) => {
  const page = await open();
  await page.goto("/lists");
  await signIn(page, "octocat");
  await expect(page).toHaveURL(/\/lists$/);
  await expect(page.locator(".user")).toHaveText("The Octocat");
  await page.route("**/sign-out", async (route) => {
    const response = await route.fetch({ maxRedirects: 0 });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await route.fulfill({ response });
  });
  await button(page, "Sign out").click();
  await expect(page).toHaveURL(/\/$/);
  await expect(button(page, "Sign in with GitHub")).toBeVisible();
});

test("the cookie is unreadable for scripts", async ({ open }) => {
  const page = await open();
  await page.goto("/");
  await signIn(page, "octocat");
  await expect(page.locator(".user")).toBeVisible();
  expect(await page.evaluate(() => document.cookie)).toBe("");
  const cookies = await page.context().cookies();
  const [session] = cookies.filter(({ name }) => name === "ironstar_session");
  expect(session).toMatchObject({ httpOnly: true, sameSite: "Lax", secure: false, path: "/" });
  expect(await page.content()).not.toContain(session.value);
});
