// The layout on narrow screens.

import { expect, test } from "../fixtures.js";

const LONG = "A text that is quite a bit longer than one line of a small telephone, so that it has to go on and on";

const DEVICES = {
  mouse: {},
  finger: { hasTouch: true, isMobile: true },
};

/** Returns the boxes of each row, of the lines of its text, and of its controls. */
const rows = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll(":is(.todo-list, .rows) > li:has(> form)")].map((row) => {
      const box = ({ left, right, top, bottom }) => ({ left, right, top, bottom });
      const text = document.createRange();
      text.selectNodeContents(row.querySelector("label, .text"));
      const controls = [...row.querySelectorAll(":scope > form > button, summary")].filter((control) => control.checkVisibility({ opacityProperty: true }));
      // The highlighted part of a control. The area around it can be pressed as well.
      const shown = (control) => {
        const { left, right, top, bottom } = control.getBoundingClientRect();
        const { backgroundClip, paddingTop } = getComputedStyle(control);
        const around = backgroundClip === "content-box" ? parseFloat(paddingTop) : 0;
        return { left: left + around, right: right - around, top: top + around, bottom: bottom - around };
      };
      return {
        row: box(row.getBoundingClientRect()),
        lines: [...text.getClientRects()].filter(({ width }) => width > 0).map(box),
        controls: controls.map(shown),
      };
    }));

const overlap = (one, other) =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;

for (const [device, options] of Object.entries(DEVICES)) {
  test(`text has the whole width of its row, by ${device}`, async ({ server, open }) => {
    const page = await open({ viewport: { width: 360, height: 720 }, owner: true, ...options });
    await server.seed(LONG, "Short", "Not as short as that", "w".repeat(200), `${LONG} and on`, "עברית ".repeat(20));
    await server.command({ type: "create", name: "A list whose name is longer than a line of a telephone" }, "list");
    for (const [path, always] of [["/", 0], ["/lists", 1]]) {
      await page.goto(path);
      for (const { row, lines, controls } of await rows(page)) {
        expect(controls).toHaveLength(device === "finger" ? 2 : always);
        for (const line of lines) {
          for (const control of controls) expect(overlap(line, control), JSON.stringify({ line, control })).toBe(false);
        }
        for (const control of controls) expect(control.right).toBeLessThanOrEqual(row.right);
      }
    }
    await page.goto("/");
    const before = await rows(page);
    const [, short, longer] = before;
    for (const number of [0, 5]) {
      const { row, lines } = before[number];
      const [left, right] = [Math.min(...lines.map(({ left }) => left)), Math.max(...lines.map(({ right }) => right))];
      expect((right - left) / (row.right - row.left)).toBeGreaterThan(0.6);
    }
    const height = ({ row }) => row.bottom - row.top;
    expect(height(short)).toBeLessThan(60);
    // A hidden control takes no room, and nothing moves when it appears.
    if (device === "mouse") expect(height(longer)).toBe(height(short));
    for (const shows of device === "mouse" ? ["hover", "focus"] : []) {
      const item = page.locator(".todo-list li").nth(2);
      await (shows === "hover" ? item.hover() : item.locator(".toggle").focus());
      await expect.poll(async () => (await rows(page))[2].controls.length).toBe(2);
      expect((await rows(page)).map(({ row, lines }) => [row, lines])).toEqual(before.map(({ row, lines }) => [row, lines]));
      await expect(item.locator("label")).toHaveCSS("mask-image", /gradient/);
      await page.mouse.move(1, 1);
    }
    // A control that floats above a text can be pressed.
    for (const item of await page.locator(".todo-list li").all()) {
      const press = (control) => (device === "finger" ? control.tap() : control.click());
      await press(item.locator("summary"));
      await expect(item.locator(".edit")).toBeFocused();
      await page.keyboard.press("Escape");
      await press(item.locator(".toggle"));
      await expect(item).toHaveClass("completed");
    }
  });
}

for (const [width, height] of [[360, 640], [1280, 720]]) {
  test(`banner of a lost connection covers nothing, ${width} px wide`, async ({ server, visit }) => {
    await server.seed(...Array.from({ length: 20 }, (_, number) => `Todo ${number}`));
    const page = await visit({ viewport: { width, height }, reducedMotion: "reduce" });
    await page.isConnected();
    const parts = () =>
      page.page.evaluate(() => {
        const parts = document.querySelectorAll(".site a, .site button, h1, .masthead > *, .presence, .card");
        const boxes = [...parts].filter((it) => it.checkVisibility()).map((it) => it.getBoundingClientRect());
        return boxes.map(({ left, right, top, bottom }) => ({ left, right, top, bottom }));
      });
    const before = await parts();
    await page.page.context().setOffline(true);
    await expect(page.connection).toBeVisible();
    const { x, y, width: wide, height: high } = await page.connection.boundingBox();
    const banner = { left: x, top: y, right: x + wide, bottom: y + high };
    expect(banner.left).toBeGreaterThanOrEqual(0);
    expect(banner.right).toBeLessThanOrEqual(width);
    const after = await parts();
    expect(after.filter((part) => overlap(part, banner))).toEqual([]);
    // The presence says the same in another colour. Nothing has moved.
    expect(after).toEqual(before);

    // When the page is scrolled, the banner stays visible and never covers the focused
    // element.
    const isSeen = () =>
      page.page.evaluate(() => {
        const focused = document.activeElement;
        const { left, top, width, height } = focused.getBoundingClientRect();
        const found = document.elementFromPoint(left + width / 2, top + height / 2);
        return focused.contains(found);
      });
    const last = page.page.locator(".filters a").last();
    await last.focus();
    await expect(page.connection).toBeInViewport();
    for (let stop = 0; stop < 30; stop += 1) {
      await page.page.keyboard.press("Shift+Tab");
      expect(await isSeen(), await page.page.evaluate(() => document.activeElement.outerHTML.slice(0, 100))).toBe(true);
    }
  });
}
