// Every action is a form or a link, and works without JavaScript.

import { expect, test } from "../fixtures.js";

const OFF = { javaScriptEnabled: false };

test("todos are added, toggled, renamed and deleted", async ({ visit }) => {
  const page = await visit(OFF);
  await page.add("Buy milk");
  await page.shows("Buy milk");
  await page.add("Call Ada");
  await page.shows("Buy milk", "Call Ada");
  await expect(page.count).toHaveText("2 items left");

  await page.toggle("Buy milk").click();
  await expect(page.toggle("Buy milk")).toBeChecked();
  await expect(page.count).toHaveText("1 item left");
  await page.toggle("Buy milk").click();
  await expect(page.toggle("Buy milk")).not.toBeChecked();

  await page.rename("Buy milk", "  Buy oat milk ");
  await page.shows("Buy oat milk", "Call Ada");

  await page.delete("Buy oat milk");
  await page.shows("Call Ada");
});

test("one editor is open at a time, and closes by its button", async ({ server, visit }) => {
  await server.seed("One", "Two");
  const page = await visit(OFF);
  await page.edit("One");
  await expect(page.item("One").locator(".view")).toBeHidden();
  await expect(page.deleteButton("One")).toBeHidden();
  await page.edit("Two");
  await expect(page.openEditor).toHaveCount(1);
  await expect(page.item("One").locator(".view")).toBeVisible();
  await page.editButton("Two").click();
  await expect(page.openEditor).toHaveCount(0);
});

test("a todo without a text left is deleted", async ({ server, visit }) => {
  await server.seed("One", "Two");
  const page = await visit(OFF);
  await page.rename("One", "   ");
  await page.shows("Two");
  await page.rename("Two", "");
  await page.shows();
});

test("a blank todo is not created", async ({ server, visit }) => {
  const page = await visit(OFF);
  await page.add("   ");
  await expect(page.notice).toHaveText("");
  await page.add("Real");
  await page.shows("Real");
  expect(await server.todos()).toEqual(["Real"]);
});

test("all todos are completed and reopened at once, and completed ones cleared", async ({ server, visit }) => {
  await server.seed("One", "Two", "Three");
  const page = await visit(OFF);
  await page.toggle("Two").click();
  await page.hasCompleted("Two");
  await page.toggleAll.click();
  await page.hasCompleted("One", "Two", "Three");
  await expect(page.toggleAll).toBeChecked();
  await page.toggleAll.click();
  await page.hasCompleted();
  await expect(page.clearCompleted).toHaveCount(0);
  await page.toggle("One").click();
  await page.hasCompleted("One");
  await page.clearCompleted.click();
  await page.shows("Two", "Three");
});

test("filters are links, and actions lead back to the filter", async ({ server, visit }) => {
  await server.seed("One", "Two");
  const page = await visit(OFF);
  await page.filter("Active").click();
  await page.isFilteredBy("Active");
  await page.toggle("One").click();
  await expect(page.page).toHaveURL(/\/active$/);
  await page.shows("Two");
  await page.add("Three");
  await expect(page.page).toHaveURL(/\/active$/);
  await page.shows("Two", "Three");
  await page.filter("Completed").click();
  await page.shows("One");
  await page.clearCompleted.click();
  await expect(page.page).toHaveURL(/\/completed$/);
  await page.shows();
  await page.page.goBack();
  await page.filter("All").click();
  await page.shows("Two", "Three");
});

test("todos that do not fit on a page are on the next pages", async ({ server, visit }) => {
  const texts = Array.from({ length: 120 }, (_, number) => `Todo ${number}`);
  await server.seed(...texts);
  const page = await visit(OFF);
  const link = (name) => page.page.getByRole("link", { name });
  await page.shows(...texts.slice(0, 50));
  await expect(link("First page")).toHaveCount(0);
  await link("Next page").click();
  await page.shows(...texts.slice(50, 100));
  // An action leads back to the same part.
  await page.toggle("Todo 60").click();
  await page.hasCompleted("Todo 60");
  await page.shows(...texts.slice(50, 100));
  await link("Next page").click();
  await page.shows(...texts.slice(100));
  await expect(link("Next page")).toHaveCount(0);
  await link("First page").click();
  await page.shows(...texts.slice(0, 50));
});

test("a refused todo shows the reason and keeps the text", async ({ visit }) => {
  const page = await visit(OFF);
  const long = "x".repeat(501);
  await page.add(long);
  await expect(page.notice).toHaveText(/at most 500 characters; this one has 501/);
  await expect(page.field).toHaveValue(long);
  await page.add("Short");
  await page.shows("Short");
  await expect(page.notice).toHaveText("");
});

test("a refused rename shows the reason and keeps its editor open with the draft", async ({ server, visit }) => {
  await server.seed("One", "Two");
  const page = await visit(OFF);
  const long = "x".repeat(501);
  await page.rename("Two", long);
  await expect(page.notice).toHaveText(/at most 500 characters; this one has 501/);
  const field = page.item("Two").locator(".edit");
  await expect(field).toBeVisible();
  await expect(field).toHaveValue(long);
  await expect(page.openEditor).toHaveCount(1);
  await field.fill("Zwei");
  await field.press("Enter");
  await page.shows("One", "Zwei");
  await expect(page.openEditor).toHaveCount(0);
});

test("a stale page shows that the todo has already changed", async ({ server, visit }) => {
  const [id] = await server.seed("Contested");
  const page = await visit(OFF);
  await server.command({ type: "complete", id });
  await page.toggle("Contested").click();
  await expect(page.notice).toHaveText("This todo is already completed.");
  await expect(page.toggle("Contested")).toBeChecked();
});

test("going back and reloading add nothing twice", async ({ server, visit }) => {
  const page = await visit(OFF);
  await page.add("Once");
  await page.shows("Once");
  await page.page.reload();
  await page.shows("Once");
  await page.page.goBack();
  await page.page.goForward();
  await page.shows("Once");
  expect(await server.todos()).toEqual(["Once"]);
});

test("a form that is sent twice creates one todo", async ({ server, visit }) => {
  const page = await visit(OFF);
  const key = await page.page.locator("input[name=key]").inputValue();
  expect(key).not.toBe("");
  const answers = await Promise.all([1, 2].map(() => server.submit("/todos", { key, text: "Once" })));
  expect(answers.map(({ status }) => status)).toEqual([303, 303]);
  expect(await server.todos()).toEqual(["Once"]);
  // The page can be used for another todo after going back to it.
  await page.add("Another");
  await page.shows("Once", "Another");
});

test("lists are created, renamed, archived and restored", async ({ open }) => {
  const page = await open(OFF);
  await page.goto("/lists");
  await page.getByRole("textbox", { name: "Name of a new list" }).fill("Plans");
  await page.getByRole("button", { name: "Create" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Plans");
  const address = page.url();
  await page.getByRole("textbox", { name: "New todo" }).fill("Conquer the world");
  await page.getByRole("button", { name: "Add" }).click();
  await expect(page.locator(".todo-list label")).toHaveText("Conquer the world");
  await expect(page).toHaveURL(address);

  await page.getByRole("link", { name: "My lists" }).click();
  await page.locator("summary").click();
  await page.getByRole("textbox", { name: "New name for Plans" }).fill("Old plans");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Archive Old plans" }).click();
  await page.getByRole("link", { name: "Old plans" }).click();
  await expect(page).toHaveURL(address);
  await expect(page.getByText("it takes no new todos until it is restored")).toBeVisible();
  await expect(page.getByRole("textbox", { name: "New todo" })).toBeHidden();

  // The list is restored on its own page, which says that it is archived.
  await page.getByRole("button", { name: "Restore" }).click();
  await expect(page).toHaveURL(address);
  await expect(page.getByText("it takes no new todos")).toHaveCount(0);
  await expect(page.getByRole("textbox", { name: "New todo" })).toBeVisible();
  await expect(page.locator(".todo-list label")).toHaveText("Conquer the world");
});

test("an archived list is restored from among all lists", async ({ server, open }) => {
  const { id } = await server.command({ type: "create", name: "Plans" }, "list");
  await server.command({ type: "archive", id }, "list");
  const page = await open({ ...OFF, owner: true });
  await page.goto("/lists");
  await page.getByRole("button", { name: "Restore Plans" }).click();
  await expect(page.getByRole("button", { name: "Archive Plans" })).toBeVisible();
});
