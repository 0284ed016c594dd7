import { join } from "node:path";

import { expect, test } from "../fixtures.js";

const TODOS = [
  ["Read the design", true],
  ["Open this page in a second browser", true],
  ["Watch both change at once", false],
  ["Add your first aggregate", false],
];

// Looks at the page in every shape; keeps the pictures if asked to.
for (const colorScheme of ["light", "dark"]) {
  for (const [shape, viewport] of [
    ["wide", { width: 1000, height: 720 }],
    ["narrow", { width: 390, height: 720 }],
  ]) {
    test(`the page fits (${shape}, ${colorScheme})`, async ({ server, visit }) => {
      for (const [text, completed] of TODOS) {
        const { id } = await server.command({ type: "create", text });
        if (completed) await server.command({ type: "complete", id });
      }
      const page = await visit({ colorScheme, viewport, deviceScaleFactor: 2 });
      await page.shows(...TODOS.map(([text]) => text));
      const overflow = await page.page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      expect(overflow).toBe(0);
      const folder = process.env.IRONSTAR_SCREENSHOTS;
      if (folder) {
        await page.page.screenshot({ path: join(folder, `todos-${shape}-${colorScheme}.png`) });
      }
    });
  }
}
