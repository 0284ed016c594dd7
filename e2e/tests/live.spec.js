import { expect, test } from "../fixtures.js";

const caret = (field) =>
  field.evaluate(({ selectionStart, selectionEnd }) => [selectionStart, selectionEnd]);

test("changes in one browser appear in another", async ({ visit }) => {
  const ada = await visit();
  const bob = await visit();

  await ada.add("Buy milk");
  await bob.shows("Buy milk");
  await bob.add("Call Ada");
  await ada.shows("Buy milk", "Call Ada");
  await expect(ada.count).toHaveText("2 items left");

  await bob.toggle("Buy milk").click();
  await expect(ada.toggle("Buy milk")).toBeChecked();
  await expect(ada.count).toHaveText("1 item left");

  await ada.rename("Call Ada", "Call Bob");
  await bob.shows("Buy milk", "Call Bob");
  await expect(ada.page.locator("details[open]")).toHaveCount(0);

  await ada.toggle("Buy milk").click();
  await expect(bob.toggle("Buy milk")).not.toBeChecked();

  await bob.delete("Buy milk");
  await ada.shows("Call Bob");
  await bob.delete("Call Bob");
  await ada.shows();
  await expect(ada.page.getByText("Nothing to do.")).toBeVisible();
});

test("the field is cleared for the next todo, and keeps the focus", async ({ visit }) => {
  const page = await visit();
  await page.add("One");
  await expect(page.field).toHaveValue("");
  await expect(page.field).toBeFocused();
  await page.page.keyboard.type("Two");
  await page.page.keyboard.press("Enter");
  await page.shows("One", "Two");
});

test("half-typed text, the caret and the focus survive changes by others", async ({ server, visit }) => {
  const page = await visit();
  await page.field.pressSequentially("Half a th");
  await page.page.keyboard.press("ArrowLeft");
  await page.page.keyboard.press("ArrowLeft");
  const [id] = await server.seed("From another visitor");
  await page.shows("From another visitor");
  await server.command({ type: "rename", id, text: "Theirs" });
  await page.shows("Theirs");
  await server.command({ type: "complete_all" }, "todos");
  await page.hasCompleted("Theirs");
  await expect(page.field).toBeFocused();
  expect(await caret(page.field)).toEqual([7, 7]);
  await page.page.keyboard.type("new ");
  await expect(page.field).toHaveValue("Half a new th");
});

test("an open editor keeps draft, selection and focus when the whole view is drawn again", async ({ server, visit }) => {
  // More changes at once than are patched one by one.
  const texts = Array.from({ length: 25 }, (_, number) => `Todo ${number}`);
  await server.seed(...texts);
  const page = await visit();
  const field = await page.edit("Todo 7");
  await field.fill("A longer draft");
  await field.evaluate((field) => field.setSelectionRange(2, 8));
  await server.command({ type: "complete_all" }, "todos");
  await page.hasCompleted(...texts);
  await expect(page.item("Todo 7")).toHaveClass("completed editing");
  await expect(field).toBeFocused();
  await expect(field).toHaveValue("A longer draft");
  expect(await caret(field)).toEqual([2, 8]);
  await page.page.keyboard.type("new");
  await page.page.keyboard.press("Enter");
  await expect(page.item("A new draft")).toBeVisible();
  await expect(page.openEditor).toHaveCount(0);
});

test("a draft in an open editor survives changes by others", async ({ server, visit }) => {
  const { id } = await server.command({ type: "create", text: "Buy milk" });
  const page = await visit();
  const field = await page.edit("Buy milk");
  await field.fill("My draft");
  await server.command({ type: "rename", id, text: "Theirs" });
  await page.shows("Theirs");
  await server.command({ type: "complete", id });
  await expect(page.item("Theirs")).toHaveClass("completed editing");
  await expect(page.item("Theirs").locator(".edit")).toHaveValue("My draft");

  // When the editor is opened again, it begins with the current text of the todo.
  await expect(page.item("Theirs").locator(".edit")).toBeFocused();
  await page.page.keyboard.press("Escape");
  await expect(await page.edit("Theirs")).toHaveValue("Theirs");
});

test("an editor without input changes nothing", async ({ server, visit }) => {
  const [id] = await server.seed("Mine");
  const page = await visit();
  await page.edit("Mine");
  await server.command({ type: "rename", id, text: "Theirs" });
  await page.shows("Theirs");
  await page.field.click();
  await expect(page.openEditor).toHaveCount(0);
  await page.add("Another");
  await page.shows("Theirs", "Another");
});

test("a todo that disappears while it is edited leaves the draft to its author", async ({ server, visit }) => {
  const [id] = await server.seed("Buy milk");
  const page = await visit({ path: "/active" });
  await page.edit("Buy milk");
  // The editor continues behind the existing text.
  await page.page.keyboard.type(" and ch");
  await server.command({ type: "complete", id });
  await page.shows();
  const failed = page.page.locator("#failed");
  await expect(failed).toHaveText("The todo that you were editing is no longer here. You had typed: Buy milk and ch");
  await server.command({ type: "reopen", id });
  await page.shows("Buy milk");
  await expect(page.item("Buy milk")).not.toHaveClass(/editing/);
  await page.add("Another");
  await page.shows("Buy milk", "Another");
});

test("a toggle shows the true state again when another change cancels it at once", async ({ server, visit }) => {
  await server.seed("Contested");
  // A visitor with a session opens no further stream by the first command.
  const page = await visit({ owner: true });
  // Both changes come in one batch, so nothing has changed and nothing is sent.
  await page.page.route("**/complete*", (route) =>
    route.fulfill({ status: 200, contentType: "text/event-stream", body: "" }),
  );
  await page.toggle("Contested").click();
  await expect(page.toggle("Contested")).toBeChecked();
  await expect(page.toggle("Contested")).not.toBeChecked();
});

test("a refused rename keeps its editor open and the reason visible", async ({ server, visit }) => {
  for (let number = 1; number <= 20; number += 1) {
    await server.command({ type: "create", text: `Todo ${number}` });
  }
  const page = await visit({ viewport: { width: 900, height: 500 } });
  const long = "x".repeat(501);
  await page.rename("Todo 20", long);
  await expect(page.notice).toHaveText(/at most 500 characters/);
  await expect(page.notice).toBeInViewport();
  const field = page.item("Todo 20").locator(".edit");
  await expect(field).toBeVisible();
  await expect(field).toHaveValue(long);
  await field.fill("Mended");
  await field.press("Enter");
  await expect(page.item("Mended")).toBeVisible();
  await expect(page.page.locator("details[open]")).toHaveCount(0);
  await expect(page.notice).toHaveText("");
});

test("a refused todo shows the reason, keeps the text, and can be corrected", async ({ visit }) => {
  const page = await visit();
  const long = "x".repeat(501);
  await page.add(long);
  await expect(page.notice).toHaveText(/at most 500 characters; this one has 501/);
  await expect(page.field).toHaveValue(long);

  await page.add("\u200b");
  await expect(page.notice).toHaveText("The text of a todo must not be empty.");

  await page.add("Better");
  await page.shows("Better");
  await expect(page.notice).toHaveText("");
});

test("a command on a deleted todo shows the reason", async ({ server, visit }) => {
  const { id } = await server.command({ type: "create", text: "Fleeting" });
  await server.command({ type: "delete", id });
  await server.command({ type: "create", text: "Lasting" });
  const page = await visit();
  // As if the deletion had not reached this browser yet.
  await page.item("Lasting").locator("form").first().evaluate(
    (form, id) => form.action = `/todos/${id}/complete`,
    id,
  );
  await page.toggle("Lasting").click();
  await expect(page.notice).toHaveText("There is no such todo.");
});

test("focus moves to the next todo when one is deleted", async ({ server, visit }) => {
  await server.seed("One", "Two", "Three");
  const page = await visit();
  await page.deleteButton("Two").focus();
  await page.page.keyboard.press("Enter");
  await page.shows("One", "Three");
  await expect(page.deleteButton("Three")).toBeFocused();
  await page.page.keyboard.press("Enter");
  await page.shows("One");
  await expect(page.deleteButton("One")).toBeFocused();
  await page.page.keyboard.press("Enter");
  await page.shows();
  await expect(page.field).toBeFocused();
});

test("focus moves to the next todo when one is completed and no longer shown", async ({ server, visit }) => {
  await server.seed("One", "Two", "Three");
  const page = await visit({ path: "/active" });
  await page.toggle("One").focus();
  await page.page.keyboard.press("Space");
  await page.shows("Two", "Three");
  await expect(page.toggle("Two")).toBeFocused();
  await page.page.keyboard.press("Space");
  await page.shows("Three");
  await expect(page.toggle("Three")).toBeFocused();
});

test("focus stays in its place when others delete", async ({ server, visit }) => {
  const [id] = await server.seed("One", "Two");
  const page = await visit();
  await page.toggle("Two").focus();
  await server.command({ type: "delete", id });
  await page.shows("Two");
  await expect(page.toggle("Two")).toBeFocused();
});

test.describe("with compressed streams", () => {
  test.use({ settings: { IRONSTAR_COMPRESS_STREAMS: "true" } });

  test("nothing is delayed, and nothing is lost across a restart", async ({ server, visit }) => {
    const stream = await fetch(`${server.url}/api/sse/todos`);
    expect(stream.headers.get("content-encoding")).toBe("gzip");
    await stream.body.cancel();
    const ada = await visit();
    const bob = await visit();
    for (const text of ["Buy milk", "Call Ada"]) {
      await ada.add(text);
      await expect(bob.item(text)).toBeVisible();
    }
    await bob.toggle("Buy milk").click();
    await ada.hasCompleted("Buy milk");
    await server.stop();
    await server.start();
    await server.command({ type: "create", text: "While away" });
    await ada.shows("Buy milk", "Call Ada", "While away");
    await bob.add("After");
    await ada.shows("Buy milk", "Call Ada", "While away", "After");
  });
});
