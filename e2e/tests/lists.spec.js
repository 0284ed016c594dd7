import { expect, test } from "../fixtures.js";

test("a list is visible to its owner and through its links until these are revoked", async ({ visit }) => {
  const ada = await visit();
  await ada.add("Shared by all");
  await ada.shows("Shared by all");
  await ada.page.getByRole("link", { name: "My lists" }).click();
  await ada.page.getByRole("textbox", { name: "Name of a new list" }).fill("Groceries");
  await ada.page.getByRole("button", { name: "Create" }).click();
  await expect(ada.page.getByRole("heading", { level: 1 })).toHaveText("Groceries");
  await expect(ada.page).toHaveTitle("ironstar · Groceries");
  await ada.shows();

  // Other visitors cannot see it.
  const bob = await visit();
  await bob.page.goto(ada.page.url());
  await expect(bob.page.getByText("There is no such list.")).toBeVisible();

  const share = async (button) => {
    await ada.page.getByRole("button", { name: button }).click();
    return ada.page.locator(".links input").last().inputValue();
  };
  await bob.page.goto(await share("Link to edit"));
  await ada.add("Milk");
  await bob.shows("Milk");
  await bob.add("Bread");
  await ada.shows("Milk", "Bread");
  await expect(bob.page.getByRole("heading", { name: "This list" })).toHaveCount(0);

  const eve = await visit();
  await eve.page.goto(await share("Link to view"));
  await eve.shows("Milk", "Bread");
  await expect(eve.field).toHaveCount(0);
  await expect(eve.items.getByRole("button")).toHaveCount(0);
  await eve.filter("Completed").click();
  await eve.shows();
  await eve.filter("All").click();
  await ada.toggle("Milk").click();
  await eve.hasCompleted("Milk");

  await ada.page.getByRole("button", { name: "Revoke the link: Can edit" }).click();
  await expect(bob.page.getByText("There is no such list.")).toBeVisible();
  await ada.add("Tea");
  await eve.shows("Milk", "Bread", "Tea");
  await eve.page.goto("/");
  await eve.shows("Shared by all");
});

test("the parts of a list are pages that follow changes by others", async ({ server, visit }) => {
  const { id } = await server.command({ type: "create", text: "Milk" });
  await server.command({ type: "create", text: "Bread" });
  const active = await visit();
  await active.page.getByRole("link", { name: "Active" }).click();
  await expect(active.page).toHaveURL(/\/active$/);
  await active.shows("Milk", "Bread");
  const completed = await visit();
  await completed.page.getByRole("link", { name: "Completed" }).click();
  await expect(completed.page.getByText("Nothing is done yet.")).toBeVisible();

  await server.command({ type: "complete", id });
  await active.shows("Bread");
  await completed.shows("Milk");
  await completed.toggle("Milk").click();
  await active.shows("Milk", "Bread");
  await completed.shows();
  await active.page.reload();
  await active.shows("Milk", "Bread");
});

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with" : "without";
  test(`all todos are done, undone and cleared at once, ${how} JavaScript`, async ({ visit }) => {
    const page = await visit({ javaScriptEnabled });
    for (const text of ["Milk", "Bread", "Tea"]) {
      await page.add(text);
      await expect(page.item(text)).toBeVisible();
      await expect(page.field).toHaveValue("");
    }
    await page.shows("Milk", "Bread", "Tea");
    const button = (name) => page.page.getByRole("button", { name, exact: true });
    const all = page.page.getByRole("checkbox", { name: "Mark all as complete" });
    await expect(button("Clear completed")).toHaveCount(0);
    await all.click();
    await expect(page.count).toHaveText("0 items left");
    await expect(all).toBeChecked();
    await all.click();
    await expect(page.count).toHaveText("3 items left");
    await page.toggle("Bread").click();
    await expect(page.count).toHaveText("2 items left");
    await button("Clear completed").click();
    await page.shows("Milk", "Tea");
  });
}

test("lists are renamed, archived and restored", async ({ visit }) => {
  const { page } = await visit({ javaScriptEnabled: false });
  await page.getByRole("link", { name: "My lists" }).click();
  await page.getByRole("textbox", { name: "Name of a new list" }).fill("Plans");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("link", { name: "My lists" }).click();
  await page.locator("summary").click();
  await page.getByRole("textbox", { name: "New name for Plans" }).fill("Old plans");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Archive Old plans" }).click();
  await page.getByRole("link", { name: "Old plans" }).click();
  await expect(page.getByText("it takes no new todos until it is restored")).toBeVisible();
  await expect(page.getByRole("textbox", { name: "New todo" })).toBeHidden();
  await page.getByRole("link", { name: "My lists" }).click();
  await page.getByRole("button", { name: "Restore Old plans" }).click();
  await expect(page.getByRole("button", { name: "Archive Old plans" })).toBeVisible();
});

test("the heading of a list follows changes by others", async ({ server, visit }) => {
  const { id } = await server.command({ type: "create", name: "Plans" }, "list");
  const page = await visit({ path: `/lists/${id}`, owner: true });
  const heading = page.page.getByRole("heading", { level: 1 });
  await page.field.pressSequentially("Half a th");
  await server.command({ type: "rename", id, name: "Better plans" }, "list");
  await expect(heading).toHaveText("Better plans");
  await expect(page.page).toHaveTitle("ironstar · Better plans");
  await page.field.pressSequentially("ought");
  await expect(page.field).toHaveValue("Half a thought");

  await server.command({ type: "archive", id }, "list");
  await expect(page.page.getByText("it takes no new todos until it is restored")).toBeVisible();
  await expect(page.field).toBeHidden();
  await page.page.getByRole("button", { name: "Restore" }).click();
  await expect(page.field).toBeVisible();
  await page.add("Conquer the world");
  await page.shows("Conquer the world");
});

test("a list is renamed with JavaScript, too, and only when the form is submitted", async ({ visit }) => {
  const { page } = await visit();
  await page.getByRole("link", { name: "My lists" }).click();
  await page.getByRole("textbox", { name: "Name of a new list" }).fill("Plans");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("link", { name: "My lists" }).click();
  const field = page.getByRole("textbox", { name: "New name for Plans" });
  await page.locator("summary").click();
  await expect(field).toBeFocused();
  await expect(field).toHaveValue("Plans");
  await field.fill("Not meant");
  await page.getByRole("heading", { level: 1 }).click();
  await expect(field).toHaveValue("Not meant");
  await field.press("Escape");
  await expect(field).toBeHidden();
  await expect(page.getByRole("link", { name: "Plans", exact: true })).toBeVisible();
  await page.locator("summary").click();
  await expect(field).toBeFocused();
  await expect(field).toHaveValue("Plans");
  await field.fill("Old plans");
  await field.press("Enter");
  await expect(page.getByRole("link", { name: "Old plans" })).toBeVisible();
});

test("the page of lists follows changes on other pages and keeps drafts", async ({ visit }) => {
  const ada = await visit();
  await ada.page.goto("/lists");
  const name = (page) => page.getByRole("textbox", { name: "Name of a new list" });
  await name(ada.page).fill("Plans");
  await ada.page.getByRole("button", { name: "Create" }).click();
  await expect(ada.page.getByRole("heading", { level: 1 })).toHaveText("Plans");
  const lists = await ada.page.context().newPage();
  await lists.goto("/lists");
  await lists.locator("summary").click();
  const field = lists.getByRole("textbox", { name: "New name for" });
  await field.fill("Half a th");
  await name(lists).fill("Another");

  const panel = ada.page.getByRole("textbox", { name: "Name of this list" });
  await panel.fill("Better plans");
  await ada.page.getByRole("button", { name: "Rename" }).click();
  await expect(lists.locator("#lists .text").last()).toHaveText("Better plans");
  await expect(field).toHaveValue("Half a th");
  await field.press("Escape");
  await lists.locator("summary").click();
  await expect(field).toHaveValue("Better plans");
  await field.press("Escape");

  await ada.page.getByRole("button", { name: "Archive" }).click();
  await expect(lists.getByRole("button", { name: "Restore Better plans" })).toBeVisible();
  await lists.getByRole("button", { name: "Restore Better plans" }).click();
  await expect(lists.getByRole("button", { name: "Archive Better plans" })).toBeVisible();
  await expect(ada.page.getByRole("button", { name: "Archive" })).toBeVisible();
});

test("a link is copied by its button", async ({ server, open }) => {
  const { id } = await server.command({ type: "create", name: "Plans" }, "list");
  await server.command({ type: "create_link", id, access: "read" }, "list");
  const page = await open({ owner: true, permissions: ["clipboard-read", "clipboard-write"] });
  // The button shows its success until this timer ends, however slow the machine is.
  await page.addInitScript(() => {
    const { setTimeout } = window;
    window.setTimeout = (end, time, ...rest) => {
      if (time === 2_000) window.endOfSuccess = end;
      else return setTimeout(end, time, ...rest);
    };
  });
  await page.goto(`/lists/${id}`);
  await page.getByRole("button", { name: "Copy the link: Can view" }).click();
  const copied = page.getByRole("button", { name: "Copied" });
  await expect(copied).toHaveText("Copied", { useInnerText: true });
  const address = await page.locator(".address").inputValue();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(address);
  await server.command({ type: "create_link", id, access: "edit" }, "list");
  await expect(page.locator(".address")).toHaveCount(2);
  await expect(copied, "a change of the page leaves it").toHaveText("Copied", { useInnerText: true });
  await page.evaluate(() => window.endOfSuccess());
  await expect(page.getByRole("button", { name: "Copy the link: Can view" })).toBeVisible();
});

test("the owner's panel follows changes on other pages", async ({ visit }) => {
  const { page } = await visit();
  await page.goto("/lists");
  await page.getByRole("textbox", { name: "Name of a new list" }).fill("Plans");
  await page.getByRole("button", { name: "Create" }).click();
  const other = await page.context().newPage();
  await other.goto(page.url());
  const typed = other.getByRole("textbox", { name: "Name of this list" });
  await typed.fill("Half a th");
  await page.getByRole("button", { name: "Link to view" }).click();
  const link = other.locator(".links input");
  await expect(link).toHaveCount(1);
  await expect(typed).toHaveValue("Half a th");
  const border = (field) => field.evaluate((it) => getComputedStyle(it).borderColor);
  expect(await border(typed), "a field to change looks unlike a field to read").not.toBe(await border(link));
  await link.click();
  const selected = () => other.evaluate(() => getSelection().toString());
  await expect.poll(selected).toContain("?link=");
  await page.getByRole("button", { name: "Revoke the link" }).click();
  await expect(link).toHaveCount(0);
});
