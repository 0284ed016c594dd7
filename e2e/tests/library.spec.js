import { expect, test } from "../fixtures.js";

test.use({ program: "IRONSTAR_LIBRARY" });

test("every reader sees at once that a book is added, lent and returned", async ({ open }) => {
  const [ada, bob] = [await open(), await open()];
  await ada.goto("/");
  await bob.goto("/");
  await expect(bob.getByText("The library has no books yet.")).toBeVisible();
  await expect(bob).toHaveTitle("library · books");

  await ada.getByLabel("Title").fill("Emma");
  await ada.getByLabel("Shelf").fill("novels");
  await ada.getByRole("button", { name: "Add the book" }).click();
  await expect(bob.getByRole("listitem")).toHaveText(/Emma/);

  await bob.getByText("Emma").hover();
  await bob.locator("summary").click();
  // A patch while the reader is typing keeps the name.
  await bob.getByRole("textbox", { name: "Reader of Emma" }).fill("Bob");
  await ada.getByLabel("Title").fill("Ulysses");
  await ada.getByLabel("Shelf").fill("novels");
  await ada.getByRole("button", { name: "Add the book" }).click();
  await expect(bob.getByRole("listitem")).toHaveCount(2);
  await expect(bob.getByRole("textbox", { name: "Reader of Emma" })).toHaveValue("Bob");
  await bob.getByRole("button", { name: "Lend" }).click();
  await expect(ada.getByText("lent to Bob")).toBeVisible();

  await ada.getByRole("button", { name: "Return Emma" }).click();
  await expect(bob.getByText("lent to Bob")).toHaveCount(0);
});

test("the library works without JavaScript", async ({ open }) => {
  const page = await open({ javaScriptEnabled: false });
  await page.goto("/");
  await page.getByLabel("Title").fill("Emma");
  await page.getByLabel("Shelf").fill("novels");
  await page.getByRole("button", { name: "Add the book" }).click();
  await page.locator("summary").click();
  await page.getByRole("textbox", { name: "Reader of Emma" }).fill("Ada");
  await page.getByRole("button", { name: "Lend" }).click();
  await expect(page.getByText("lent to Ada")).toBeVisible();
});
