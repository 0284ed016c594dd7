// A fresh server for each test, pages that must not complain, and the todo
// list as a person sees it.

import { test as base, expect } from "@playwright/test";

import { Server } from "./server.js";

export { expect };

export const test = base.extend({
  server: async ({}, use) => {
    const server = await Server.start();
    await use(server);
    await server.remove();
  },

  // Opens the page in a browser of its own.
  visit: async ({ browser, server }, use) => {
    const complaints = [];
    const contexts = [];
    await use(async (options = {}) => {
      const context = await browser.newContext(options);
      contexts.push(context);
      const page = await context.newPage();
      page.on("pageerror", (error) => complaints.push(`page error: ${error}`));
      page.on("console", (message) => {
        // Refusals and broken streams are what some tests are about.
        const isExpected = message.text().startsWith("Failed to load resource");
        if (["error", "warning"].includes(message.type()) && !isExpected) {
          complaints.push(`console: ${message.text()}`);
        }
      });
      await page.goto(server.url);
      return new TodoPage(page, options.javaScriptEnabled !== false);
    });
    await Promise.all(contexts.map((context) => context.close()));
    expect(complaints).toEqual([]);
  },
});

export class TodoPage {
  constructor(page, hasScript) {
    this.page = page;
    this.hasScript = hasScript;
    this.field = page.getByRole("textbox", { name: "New todo" });
    this.notice = page.locator("#notice");
    this.count = page.locator(".todo-count");
    this.items = page.locator(".todo-list li");
  }

  async add(text) {
    await this.field.fill(text);
    await this.field.press("Enter");
  }

  item(text) {
    return this.items.filter({ has: this.page.getByText(text, { exact: true }) });
  }

  toggle(text) {
    return this.item(text).getByRole("checkbox");
  }

  /** Opens a todo's editor and returns its field. */
  async edit(text) {
    const item = this.item(text);
    const field = item.locator(".edit");
    await item.locator("summary").click();
    if (this.hasScript) {
      await expect(field).toBeFocused();
    }
    return field;
  }

  async rename(from, to) {
    const field = await this.edit(from);
    await field.fill(to);
    await field.press("Enter");
  }

  async delete(text) {
    await this.item(text).getByRole("button", { name: `Delete ${text}` }).click();
  }

  /** Expects exactly these todos, in order. */
  async shows(...texts) {
    await expect(this.items.locator(".view label")).toHaveText(texts);
  }
}
