import { expect, test } from "../fixtures.js";

const OFF = { javaScriptEnabled: false };

test("every action works", async ({ visit }) => {
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

  await page.rename("Buy milk", "Buy oat milk");
  await page.shows("Buy oat milk", "Call Ada");

  await page.delete("Buy oat milk");
  await page.shows("Call Ada");
});

test("a refused todo says why and keeps what was typed", async ({ visit }) => {
  const page = await visit(OFF);
  const long = "x".repeat(501);
  await page.add(long);
  await expect(page.notice).toHaveText(/at most 500 characters; this one has 501/);
  await expect(page.field).toHaveValue(long);
  await page.add("Short");
  await page.shows("Short");
  await expect(page.notice).toHaveText("");
});

test("a stale page says that somebody else was first", async ({ server, visit }) => {
  const { id } = await server.command({ type: "create", text: "Contested" });
  const page = await visit(OFF);
  await server.command({ type: "complete", id });
  await page.toggle("Contested").click();
  await expect(page.notice).toHaveText("This todo is already completed.");
  await expect(page.toggle("Contested")).toBeChecked();
});
