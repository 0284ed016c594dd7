// A fresh server for each test, and pages that must not report errors.

import { test as base, expect } from "@playwright/test";

import { GitHub } from "./github.js";
import { Server } from "./server.js";
import { TodoPage } from "./todo-page.js";

export { expect };

// Collects errors, warnings and dialogs, none of which a page may cause.
const listen = (page, complaints) => {
  page.on("pageerror", (error) => complaints.push(`page error: ${error}`));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    return dialog.dismiss();
  });
  page.on("console", (message) => {
    // Some tests cause refusals and broken streams on purpose.
    const isExpected = message.text().startsWith("Failed to load resource");
    if (["error", "warning"].includes(message.type()) && !isExpected) {
      complaints.push(`console: ${message.text()}`);
    }
  });
};

export const test = base.extend({
  // Environment variables of the server.
  settings: [{}, { option: true }],

  // The variable that names the program of the server.
  program: ["IRONSTAR_SERVER", { option: true }],

  // Is true if sign-in with GitHub is on.
  hasGithub: [false, { option: true }],

  github: async ({ hasGithub }, use) => {
    if (!hasGithub) {
      await use(undefined);
      return;
    }
    const github = await GitHub.start();
    await use(github);
    await github.stop();
  },

  server: async ({ settings, program, github }, use) => {
    const server = await Server.start({ ...github?.settings, ...settings }, program);
    await use(server);
    await server.remove();
  },

  // Opens a new browser with an empty page. With `owner`, the browser has the session that
  // the server's commands are sent in.
  open: async ({ browser, server }, use) => {
    const complaints = [];
    const contexts = [];
    await use(async ({ owner = false, ...options } = {}) => {
      const context = await browser.newContext({ baseURL: server.url, ...options });
      contexts.push(context);
      if (owner) await context.addCookies([await server.session()]);
      context.on("page", (page) => listen(page, complaints));
      return context.newPage();
    });
    await Promise.all(contexts.map((context) => context.close()));
    expect(complaints).toEqual([]);
  },

  // Opens a page of todos in a new browser.
  visit: async ({ open }, use) => {
    await use(async ({ path = "/", ...options } = {}) => {
      const page = await open(options);
      await page.goto(path);
      return new TodoPage(page, options.javaScriptEnabled !== false);
    });
  },
});
