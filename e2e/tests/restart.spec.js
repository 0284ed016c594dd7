import { expect, test } from "../fixtures.js";

for (const signal of ["SIGTERM", "SIGKILL"]) {
  test(`pages recover from a restart by themselves (${signal})`, async ({ server, visit }) => {
    const ada = await visit();
    const bob = await visit();
    await ada.add("Before");
    await bob.shows("Before");
    await bob.toggle("Before").click();
    await expect(ada.toggle("Before")).toBeChecked();

    await server.stop(signal);
    await server.start();
    // No page is connected yet, so the pages have to catch up with this.
    await server.command({ type: "create", text: "While away" });

    await ada.shows("Before", "While away");
    await bob.shows("Before", "While away");
    await expect(ada.toggle("Before")).toBeChecked();
    await expect(ada.count).toHaveText("1 item left");

    // The pages are live again, in both directions.
    await bob.add("After");
    await ada.shows("Before", "While away", "After");
    await bob.shows("Before", "While away", "After");
  });
}

test("a page that was away misses nothing and shows nothing twice", async ({ server, visit }) => {
  const page = await visit();
  await page.add("First");
  await page.shows("First");
  await page.page.context().setOffline(true);
  const { id } = await server.command({ type: "create", text: "Second" });
  await server.command({ type: "create", text: "Third" });
  await server.command({ type: "delete", id });
  await server.stop();
  await server.start();
  await page.page.context().setOffline(false);
  await page.shows("First", "Third");
  await expect(page.count).toHaveText("2 items left");
});
