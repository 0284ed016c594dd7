// The requirements of the TodoMVC application specification, by its class names:
// https://github.com/tastejs/todomvc/blob/master/app-spec.md
// Where it names hash routes, pages here have addresses of their own.

import { expect, test } from "../fixtures.js";

test.describe("no todos", () => {
  test("only the field shows, and it has the focus", async ({ visit }) => {
    const page = await visit();
    await expect(page.field).toBeFocused();
    await expect(page.field).toHaveAttribute("placeholder", "What needs to be done?");
    await expect(page.page.locator(".main")).toBeHidden();
    await expect(page.page.locator(".footer")).toBeHidden();
    await expect(page.toggleAll).toBeHidden();
  });

  test("the list and its footer appear with the first todo and disappear with it", async ({ visit }) => {
    const page = await visit();
    await page.addAll("Only");
    await expect(page.page.locator(".main")).toBeVisible();
    await expect(page.page.locator(".footer")).toBeVisible();
    await expect(page.toggleAll).toBeVisible();
    await page.delete("Only");
    await expect(page.page.locator(".main")).toBeHidden();
    await expect(page.page.locator(".footer")).toBeHidden();
    await expect(page.toggleAll).toBeHidden();
  });
});

test.describe("a new todo", () => {
  test("is added by Enter, below the others, and the field is cleared at once", async ({ visit }) => {
    const page = await visit();
    await page.add("One");
    // Independently of the server.
    expect(await page.field.inputValue()).toBe("");
    await page.shows("One");
    await page.add("Two");
    await page.shows("One", "Two");
    await page.hasCompleted();
  });

  test("is added by its button too", async ({ visit }) => {
    const page = await visit();
    await page.field.fill("By mouse");
    await page.page.getByRole("button", { name: "Add", exact: true }).click();
    await page.shows("By mouse");
  });

  test("is trimmed", async ({ server, visit }) => {
    const page = await visit();
    await page.add("   some text \t ");
    await expect(page.items).toHaveCount(1);
    expect(await page.labels.allTextContents()).toEqual(["some text"]);
    expect(await server.todos()).toEqual(["some text"]);
  });

  test("is not created if it is blank", async ({ server, visit }) => {
    const page = await visit();
    let sent = 0;
    page.page.on("request", (request) => {
      sent += request.method() === "POST";
    });
    await page.field.press("Enter");
    await page.add("    ");
    await page.add("Real");
    await page.shows("Real");
    expect(sent).toBe(1);
    expect(await server.todos()).toEqual(["Real"]);
    await expect(page.notice).toHaveText("");
  });

  test("can be added without waiting for the previous one, in order", async ({ visit }) => {
    const page = await visit();
    const texts = Array.from({ length: 20 }, (_, nth) => `Todo ${nth}`);
    await page.field.focus();
    for (const text of texts) {
      await page.page.keyboard.insertText(text);
      await page.page.keyboard.press("Enter");
    }
    await page.shows(...texts);
    await expect(page.field).toHaveValue("");
    await expect(page.field).toBeFocused();
  });

  test("comes after the previous ones, however long they take", async ({ server, visit }) => {
    const page = await visit();
    let letGo;
    const held = new Promise((resolve) => (letGo = resolve));
    await page.page.route("**/todos", async (route) => {
      if (route.request().postData().includes("First")) await held;
      await route.continue();
    });
    await page.add("First");
    await page.add("Second");
    await server.command({ type: "create", text: "From another visitor" });
    await page.shows("From another visitor");
    letGo();
    await page.shows("From another visitor", "First", "Second");
  });
});

test.describe("all at once", () => {
  test("the toggle completes all, and reopens all", async ({ visit }) => {
    const page = await visit();
    await page.addAll("One", "Two", "Three");
    await page.toggle("Two").check();
    await page.toggleAll.check();
    await page.hasCompleted("One", "Two", "Three");
    await page.toggleAll.uncheck();
    await page.hasCompleted();
    await expect(page.count).toHaveText("3 items left");
  });

  test("the toggle follows single todos", async ({ visit }) => {
    const page = await visit();
    await page.addAll("One", "Two");
    await expect(page.toggleAll).not.toBeChecked();
    await page.toggle("One").check();
    await expect(page.toggleAll).not.toBeChecked();
    await page.toggle("Two").check();
    await expect(page.toggleAll).toBeChecked();
    await page.toggle("One").uncheck();
    await expect(page.toggleAll).not.toBeChecked();
    await page.toggle("One").check();
    await expect(page.toggleAll).toBeChecked();
    await page.add("Three");
    await expect(page.toggleAll).not.toBeChecked();
    await page.delete("Three");
    await expect(page.toggleAll).toBeChecked();
  });

  test("clearing removes the completed ones, and is offered only if there are any", async ({ visit }) => {
    const page = await visit();
    await page.addAll("One", "Two", "Three");
    await expect(page.clearCompleted).toHaveCount(0);
    await page.toggle("One").check();
    await page.toggle("Three").check();
    await expect(page.clearCompleted).toHaveText("Clear completed");
    await page.clearCompleted.click();
    await page.shows("Two");
    await expect(page.clearCompleted).toHaveCount(0);
    await page.toggle("Two").check();
    await page.clearCompleted.click();
    await expect(page.items).toHaveCount(0);
    await expect(page.toggleAll).toBeHidden();
    await page.addAll("Next");
    await expect(page.toggleAll).not.toBeChecked();
  });
});

test.describe("a todo", () => {
  test("is checked and unchecked", async ({ visit }) => {
    const page = await visit();
    await page.addAll("One", "Two");
    await page.item("One").locator(".toggle").check();
    await expect(page.item("One")).toHaveClass(/\bcompleted\b/);
    await page.hasCompleted("One");
    await page.item("One").locator(".toggle").uncheck();
    await expect(page.item("One")).not.toHaveClass(/\bcompleted\b/);
    await page.hasCompleted();
  });

  test("shows its delete button when the pointer is on it", async ({ visit }) => {
    const page = await visit();
    await page.addAll("One");
    const button = page.item("One").locator(".destroy");
    await page.page.mouse.move(0, 0);
    await expect(button).toHaveCSS("opacity", "0");
    await page.item("One").hover();
    await expect(button).toHaveCSS("opacity", "1");
    await button.click();
    await page.shows();
  });

  test("is counted while it is active", async ({ visit }) => {
    const page = await visit();
    await page.addAll("One");
    await expect(page.count).toHaveText("1 item left");
    await expect(page.count.locator("strong")).toHaveText("1");
    await page.addAll("Two");
    await expect(page.count).toHaveText("2 items left");
    await expect(page.count.locator("strong")).toHaveText("2");
    await page.toggleAll.check();
    await expect(page.count).toHaveText("0 items left");
  });
});

test.describe("editing", () => {
  test("begins by double click, and hides the other controls", async ({ visit }) => {
    const page = await visit();
    await page.addAll("One", "Two");
    const field = await page.editByDoubleClick("One");
    const item = page.item("One");
    await expect(item).toHaveClass("editing");
    await expect(field).toHaveValue("One");
    for (const part of [".view", ".toggle", "label", ".destroy"]) {
      await expect(item.locator(part).first()).toBeHidden();
    }
    await expect(page.item("Two").locator(".toggle")).toBeVisible();
    await expect(page.item("Two")).not.toHaveClass(/editing/);
  });

  test("begins, ends and returns the focus by the keyboard", async ({ visit }) => {
    const page = await visit();
    await page.addAll("One", "Two");
    await page.toggle("One").focus();
    await page.page.keyboard.press("Tab");
    await expect(page.editButton("One")).toBeFocused();
    await page.page.keyboard.press("Enter");
    const field = page.items.first().locator(".edit");
    await expect(field).toBeFocused();
    await field.fill("Uno");
    await page.page.keyboard.press("Enter");
    await page.shows("Uno", "Two");
    await expect(page.openEditor).toHaveCount(0);
    await expect(page.editButton("Uno")).toBeFocused();

    await page.page.keyboard.press("Enter");
    await expect(field).toBeFocused();
    await page.page.keyboard.press("Escape");
    await expect(page.openEditor).toHaveCount(0);
    await expect(page.editButton("Uno")).toBeFocused();
  });

  test("is saved by Enter, trimmed", async ({ server, visit }) => {
    const page = await visit();
    await page.addAll("One", "Two");
    const field = await page.editByDoubleClick("Two");
    await field.fill("   Zwei  ");
    await field.press("Enter");
    await page.shows("One", "Zwei");
    await expect(page.item("Zwei")).not.toHaveClass(/editing/);
    expect(await server.todos()).toEqual(["One", "Zwei"]);
  });

  test("is saved by its button", async ({ visit }) => {
    const page = await visit();
    await page.addAll("One");
    const field = await page.edit("One");
    await field.fill("Uno");
    await page.items.getByRole("button", { name: "Save" }).click();
    await page.shows("Uno");
    await expect(page.openEditor).toHaveCount(0);
  });

  test("is saved when the field is left", async ({ visit }) => {
    const page = await visit();
    await page.addAll("One", "Two");
    const field = await page.editByDoubleClick("One");
    await field.fill("Uno");
    await page.field.click();
    await page.shows("Uno", "Two");
    await expect(page.openEditor).toHaveCount(0);
    await expect(page.item("Uno")).not.toHaveClass(/editing/);
    // The focus stays where the visitor has moved it.
    await expect(page.field).toBeFocused();
  });

  test("sends nothing when the field is left without a change", async ({ visit }) => {
    const page = await visit();
    await page.addAll("One");
    let sent = 0;
    page.page.on("request", (request) => {
      sent += request.method() === "POST";
    });
    await page.editByDoubleClick("One");
    await page.field.click();
    await expect(page.openEditor).toHaveCount(0);
    expect(sent).toBe(0);
  });

  test("is cancelled by Escape", async ({ server, visit }) => {
    const page = await visit();
    await page.addAll("One");
    const field = await page.editByDoubleClick("One");
    await field.fill("Something else");
    await field.press("Escape");
    await expect(page.openEditor).toHaveCount(0);
    await expect(page.item("One")).not.toHaveClass(/editing/);
    await page.shows("One");
    expect(await server.todos()).toEqual(["One"]);
    // The draft is discarded for good.
    await expect(await page.edit("One")).toHaveValue("One");
  });

  test("is cancelled by the button that began it", async ({ server, visit }) => {
    const page = await visit();
    await page.addAll("One");
    const field = await page.edit("One");
    await field.fill("Something else");
    await page.editButton("One").click();
    await expect(page.openEditor).toHaveCount(0);
    await page.shows("One");
    expect(await server.todos()).toEqual(["One"]);
  });

  for (const [how, text] of [["nothing", ""], ["blanks", "   "]]) {
    test(`deletes a todo of which ${how} is left`, async ({ visit }) => {
      const page = await visit();
      await page.addAll("One", "Two");
      const field = await page.editByDoubleClick("One");
      await field.fill(text);
      await field.press("Enter");
      await page.shows("Two");
      await expect(page.count).toHaveText("1 item left");
    });
  }

  test("happens in one todo at a time", async ({ visit }) => {
    const page = await visit();
    await page.addAll("One", "Two");
    await page.editByDoubleClick("One");
    await page.editByDoubleClick("Two");
    await expect(page.page.locator("li.editing")).toHaveCount(1);
    await expect(page.openEditor).toHaveCount(1);
    await expect(page.item("Two")).toHaveClass("editing");
  });

  test("keeps the first draft when another todo is edited", async ({ visit }) => {
    const page = await visit();
    await page.addAll("One", "Two");
    const field = await page.edit("One");
    await field.fill("Uno");
    await page.edit("Two");
    await page.shows("Uno", "Two");
    await expect(page.item("Two")).toHaveClass("editing");
    await expect(page.item("Two").locator(".edit")).toBeFocused();
  });

  test("is not resumed by a reload", async ({ visit }) => {
    const page = await visit();
    await page.addAll("One");
    await page.editByDoubleClick("One");
    await page.page.reload();
    await page.shows("One");
    await expect(page.openEditor).toHaveCount(0);
  });
});

test.describe("filters", () => {
  const prepared = async (visit) => {
    const page = await visit();
    await page.addAll("One", "Two", "Three");
    await page.toggle("Two").check();
    await page.hasCompleted("Two");
    return page;
  };

  test("are links, and show the matching todos", async ({ visit }) => {
    const page = await prepared(visit);
    await page.isFilteredBy("All");
    await page.filter("Active").click();
    await expect(page.page).toHaveURL(/\/active$/);
    await page.isFilteredBy("Active");
    await page.shows("One", "Three");
    await page.filter("Completed").click();
    await expect(page.page).toHaveURL(/\/completed$/);
    await page.isFilteredBy("Completed");
    await page.shows("Two");
    await expect(page.count).toHaveText("2 items left");
    await page.filter("All").click();
    await expect(page.page).toHaveURL(/\/$/);
    await page.shows("One", "Two", "Three");
  });

  test("survive a reload, and can be opened directly", async ({ visit }) => {
    const page = await prepared(visit);
    await page.filter("Completed").click();
    await page.isFilteredBy("Completed");
    await page.page.reload();
    await page.isFilteredBy("Completed");
    await page.shows("Two");
    const other = await visit({ path: "/active" });
    await other.isFilteredBy("Active");
    await other.shows("One", "Three");
  });

  test("work with Back and Forward", async ({ visit }) => {
    const page = await prepared(visit);
    await page.filter("Active").click();
    await page.isFilteredBy("Active");
    await page.filter("Completed").click();
    await page.shows("Two");
    await page.page.goBack();
    await page.isFilteredBy("Active");
    await page.shows("One", "Three");
    await page.page.goBack();
    await page.isFilteredBy("All");
    await page.shows("One", "Two", "Three");
    await page.page.goForward();
    await page.shows("One", "Three");
    // The page after Back is live, not an old copy.
    await page.add("Four");
    await page.shows("One", "Three", "Four");
  });

  test("drop todos that no longer match", async ({ visit }) => {
    const page = await prepared(visit);
    await page.filter("Active").click();
    await page.isFilteredBy("Active");
    await page.toggle("One").click();
    await page.shows("Three");
    await page.add("Four");
    await page.shows("Three", "Four");
    await page.filter("Completed").click();
    await page.shows("One", "Two");
    await page.toggle("Two").click();
    await page.shows("One");
    await page.clearCompleted.click();
    await page.shows();
    await expect(page.page.getByText("Nothing is done yet.")).toBeVisible();
    await expect(page.page.locator(".footer")).toBeVisible();
  });

  test("are separate in each tab", async ({ visit }) => {
    const page = await prepared(visit);
    const tab = await page.page.context().newPage();
    await tab.goto(page.page.url());
    await tab.locator(".filters").getByRole("link", { name: "Completed" }).click();
    await expect(tab.locator(".todo-list label")).toHaveText(["Two"]);
    await page.add("Four");
    await page.shows("One", "Two", "Three", "Four");
    await page.isFilteredBy("All");
    await page.toggle("Three").check();
    await expect(tab.locator(".todo-list label")).toHaveText(["Two", "Three"]);
    await expect(tab.locator(".filters a.selected")).toHaveText("Completed");
    await page.page.reload();
    await page.isFilteredBy("All");
  });
});

test("everything survives a reload", async ({ visit }) => {
  const page = await visit();
  await page.addAll("One", "Two");
  await page.toggle("One").check();
  await page.hasCompleted("One");
  await page.page.reload();
  await page.shows("One", "Two");
  await page.hasCompleted("One");
  await expect(page.toggle("One")).toBeChecked();
  await expect(page.count).toHaveText("1 item left");
  await page.toggle("One").uncheck();
  await expect(page.count).toHaveText("2 items left");
});
