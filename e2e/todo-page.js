// The page of a todo list as a visitor sees it.

import { expect } from "@playwright/test";

export class TodoPage {
  constructor(page, hasScript = true) {
    this.page = page;
    this.hasScript = hasScript;
    this.field = page.locator(".new-todo");
    this.notice = page.locator("#notice");
    this.failed = page.locator("#failed");
    this.connection = page.locator("#connection");
    this.count = page.locator(".todo-count");
    this.items = page.locator(".todo-list li");
    this.labels = this.items.locator(".view label");
    this.toggleAll = page.locator(".toggle-all");
    this.clearCompleted = page.locator(".clear-completed");
    this.openEditor = page.locator(".editor[open]");
  }

  async add(text) {
    await this.field.fill(text);
    await this.field.press("Enter");
  }

  /** Adds todos one by one, and waits for each. */
  async addAll(...texts) {
    for (const text of texts) {
      await this.add(text);
      await expect(this.item(text)).toBeVisible();
    }
  }

  item(text) {
    return this.items.filter({ has: this.page.getByText(text, { exact: true }) });
  }

  label(text) {
    return this.item(text).locator("label");
  }

  toggle(text) {
    return this.item(text).getByRole("checkbox");
  }

  /** The button that opens and closes a todo's editor. */
  editButton(text) {
    return this.item(text).locator("summary");
  }

  deleteButton(text) {
    return this.item(text).getByRole("button", { name: `Delete ${text}` });
  }

  filter(name) {
    return this.page.locator(".filters").getByRole("link", { name, exact: true });
  }

  /** Opens a todo's editor and returns its field. */
  async edit(text) {
    const field = this.item(text).locator(".edit");
    await this.editButton(text).click();
    if (this.hasScript) {
      await expect(field).toBeFocused();
    }
    return field;
  }

  /** Opens a todo's editor as in the TodoMVC specification. */
  async editByDoubleClick(text) {
    const field = this.item(text).locator(".edit");
    await this.label(text).dblclick();
    await expect(field).toBeFocused();
    return field;
  }

  async rename(from, to) {
    const field = await this.edit(from);
    await field.fill(to);
    await field.press("Enter");
  }

  async delete(text) {
    await this.deleteButton(text).click();
  }

  /** Waits until the page's stream has sent the number of visitors. */
  async isConnected() {
    await expect(this.page.locator("#presence")).toHaveText("Only you are here");
  }

  /** Expects exactly these todos, in order. */
  async shows(...texts) {
    await expect(this.labels).toHaveText(texts);
  }

  /** Expects exactly these todos to be completed. */
  async hasCompleted(...texts) {
    await expect(this.page.locator(".todo-list li.completed .view label")).toHaveText(texts);
  }

  /** Expects this filter to be selected. */
  async isFilteredBy(name) {
    await expect(this.page.locator(".filters a.selected")).toHaveText([name]);
  }

  /** Returns the number of pixels by which the page is wider than the window. */
  overflow() {
    return overflow(this.page);
  }
}

/** Returns the number of pixels by which a page, or an element of it, is wider than the window. */
export const overflow = async (page) => {
  // A form may have led to a page whose style sheet has not arrived yet.
  await page.waitForLoadState();
  return page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    // An element that a card cuts off does not widen the page. Tables scroll.
    const elements = [...document.querySelectorAll("main *")].filter((element) => !element.closest(".table *"));
    const edges = elements.map((element) => element.getBoundingClientRect().right);
    return Math.max(scrollWidth, clientWidth, ...edges.map(Math.floor)) - clientWidth;
  });
};
