// Opens every page in every shape, and takes pictures on request.

import { join } from "node:path";

import { expect, test } from "../fixtures.js";
import { TodoPage, overflow } from "../todo-page.js";

const SHAPES = {
  wide: { width: 1000, height: 720 },
  narrow: { width: 390, height: 720 },
};

const TODOS = [
  ["Read the design", true],
  ["Open this page in a second browser", true],
  ["Watch both change at once", false],
  ["Add your first aggregate", false],
];

const seed = async (server, list) => {
  for (const [text, completed] of TODOS) {
    const { id } = await server.command({ type: "create", text, list });
    if (completed) await server.command({ type: "complete", id });
  }
};

const seedList = async (server, name, isArchived) => {
  const { id } = await server.command({ type: "create", name }, "list");
  await seed(server, id);
  if (isArchived) await server.command({ type: "archive", id }, "list");
  return `/lists/${id}`;
};

/**
 * The pictures that are kept. Few of them, because pictures are large; the first ones are in
 * the README.
 */
const KEPT = {
  todos: ["wide-light", "wide-dark", "narrow-light", "narrow-dark"],
  empty: ["narrow-light", "narrow-dark"],
  editing: ["narrow-light", "narrow-dark"],
  refused: ["narrow-light", "narrow-dark"],
  offline: ["narrow-dark"],
  lists: ["narrow-light", "narrow-dark"],
  archived: ["narrow-light"],
  own: ["wide-light", "narrow-dark"],
  reading: ["narrow-light"],
  pages: [],
  problem: ["narrow-light"],
  styleguide: ["narrow-light"],
};

/** The steps that lead to each picture. */
const PICTURES = {
  todos: async ({ page, server }) => {
    await seed(server);
    await page.goto("/");
  },
  empty: ({ page }) => page.goto("/"),
  editing: async ({ page, server }) => {
    await seed(server);
    await page.goto("/");
    await new TodoPage(page).edit("Watch both change at once");
  },
  refused: async ({ page, server }) => {
    await seed(server);
    await page.goto("/");
    const todos = new TodoPage(page);
    await todos.add(`Far too ${"long ".repeat(100)}`);
    await expect(todos.notice).toBeVisible();
  },
  offline: async ({ page, server }) => {
    await seed(server);
    await page.goto("/");
    await new TodoPage(page).isConnected();
    await page.context().setOffline(true);
    await expect(page.locator("#connection")).toBeVisible();
  },
  lists: async ({ page, server }) => {
    for (const name of ["Groceries", "Moving house", "Ideas"]) await seedList(server, name);
    await seedList(server, "Last summer", true);
    await page.goto("/lists");
  },
  archived: async ({ page, server }) => {
    await page.goto(await seedList(server, "Last summer", true));
  },
  own: async ({ page, server }) => {
    await page.goto(await seedList(server, "Moving house"));
    for (const button of ["Link to view", "Link to edit"]) {
      await page.getByRole("button", { name: button }).click();
    }
  },
  reading: async ({ page, server }) => {
    const address = await seedList(server, "Moving house");
    await server.command({ type: "create_link", id: address.split("/").at(-1), access: "read" }, "list");
    await page.goto(address);
    const link = await page.locator(".links input").inputValue();
    await page.context().clearCookies();
    await page.goto(link);
  },
  pages: async ({ page, server }) => {
    await server.seed(...Array.from({ length: 60 }, (_, number) => `Todo ${number + 1}`));
    await page.goto("/");
    await page.getByRole("link", { name: "Next page" }).click();
    await expect(page.locator(".todo-list li")).toHaveCount(10);
  },
  problem: ({ page }) => page.goto("/nowhere"),
  styleguide: ({ page }) => page.goto("/styleguide"),
};

for (const [name, show] of Object.entries(PICTURES)) {
  for (const [shape, viewport] of Object.entries(SHAPES)) {
    for (const colorScheme of ["light", "dark"]) {
      test(`${name} fits (${shape}, ${colorScheme})`, async ({ server, open }) => {
        const isLarge = name === "todos" && shape === "wide";
        const deviceScaleFactor = isLarge ? 2 : 1;
        const page = await open({ colorScheme, viewport, deviceScaleFactor, reducedMotion: "reduce", owner: true });
        await show({ page, server });
        if (await page.locator("#presence").count() > 0) {
          await new TodoPage(page).isConnected();
        }
        expect(await overflow(page)).toBe(0);
        const folder = process.env.IRONSTAR_SCREENSHOTS;
        if (folder && KEPT[name].includes(`${shape}-${colorScheme}`)) {
          await page.screenshot({
            path: join(folder, `${name}-${shape}-${colorScheme}.png`),
            animations: "disabled",
            fullPage: ["styleguide", "lists", "own"].includes(name),
          });
        }
      });
    }
  }
}
