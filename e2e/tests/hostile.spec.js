// Text is only text, from any author and in any place.

import { expect, test } from "../fixtures.js";

const HOSTILE = [
  "<script>document.title='pwned'</script>",
  "</script><script>alert(1)</script>",
  "<img src=/x onerror=\"document.title='pwned'\">",
  "</label></li></ul><!-- <b>bold</b>",
  "<!-- a comment --> after it",
  "\" autofocus onfocus=alert(1) x=\"",
  "' onclick='alert(1)",
  "\" data-init=\"@get('/x')",
  "{{ 7 * 7 }} {% raw %}",
  "$signal $$get('/x')",
  "@get('/x')",
  "`${document.title = 'pwned'}` \\` \\u0041",
  "javascript:alert(1)",
  "&lt;b&gt; &amp;amp; &#0; &nbsp",
  "data: elements <b>x</b>",
  "id: 5",
  "event: datastar-patch-signals",
  ": a comment",
  "retry: 0",
  "zero\u200Bwidth\u200Dand\u2060joiners\uFEFF!",
  "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 é Z\u0353\u0351\u036B\u036A!",
  "שלום עולם, مرحبا بالعالم",
  "constructor __proto__ toString",
  "x".repeat(500),
];

/** Texts that look like other texts, or like no text. */
const REFUSED = [
  "line\u2028separator\u2029and paragraph",
  "\u202Eright to left override\u202C",
  "\u2067isolate that is never closed",
  "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!",
  "\u3164",
  "\u2800",
  "A\u{E0041}",
];

/** A form replaces these by spaces, because visitors paste them by accident. */
const BREAKS = ["\r", "\n", "\r\n", "\t", "\u0085"];

const CONTROLS = ["\r", "\n", "\r\n", "\0", "\t", "\u0007", "\u001b[31m", "\u007f", "\u0085", "\u009f"];

/** Records the paths that a page requests, to prove that no text causes a request. */
const listen = (page) => {
  const asked = new Set();
  page.on("request", (request) => asked.add(new URL(request.url()).pathname));
  return () => [...asked].filter((path) => !path.startsWith("/static/"));
};

/** Shortens a text as in the names of its controls. */
const shortened = (text) => {
  const chars = [...text];
  return chars.length > 80 ? `${chars.slice(0, 80).join("")}…` : text;
};

/** Returns the texts of a page's todos, in every place where they stand. */
const shown = (page) =>
  page.items.evaluateAll((items) => items.map((item) => ({
    label: item.querySelector("label").textContent,
    elements: item.querySelector("label").childElementCount,
    field: item.querySelector(".edit").value,
    names: [".toggle", "summary", ".edit", ".destroy"].map((control) => item.querySelector(control).ariaLabel),
  })));

const expected = (texts) =>
  texts.map((text) => {
    const name = shortened(text);
    return {
      label: text,
      elements: 0,
      field: text,
      names: [name, `Edit ${name}`, `New text for ${name}`, `Delete ${name}`],
    };
  });

const isIntact = async (page, texts) => {
  await expect.poll(() => shown(page)).toEqual(expected(texts));
  await expect(page.page).toHaveTitle("ironstar · todos");
  expect(await page.overflow()).toBe(0);
};

test("appended, redrawn and at first paint, hostile text is only text", async ({ server, visit }) => {
  const page = await visit();
  const asked = listen(page.page);
  // Each todo is a patch of its own.
  await server.seed(...HOSTILE);
  await isIntact(page, HOSTILE);
  // More changes at once than are patched one by one.
  await server.command({ type: "complete_all" }, "todos");
  await page.hasCompleted(...HOSTILE.map((text) => text.replace(/\s+/g, " ")));
  await isIntact(page, HOSTILE);
  await page.page.reload();
  await isIntact(page, HOSTILE);
  const plain = await visit({ javaScriptEnabled: false });
  await isIntact(plain, HOSTILE);
  expect(asked().sort()).toEqual(["/", "/api/sse/todos"]);
});

test("renamed to, hostile text is only text", async ({ server, visit }) => {
  const ids = await server.seed(...HOSTILE.map((_, number) => `Todo ${number}`));
  const page = await visit();
  await page.isConnected();
  const asked = listen(page.page);
  for (const [index, id] of ids.entries()) {
    await server.command({ type: "rename", id, text: HOSTILE[index] });
  }
  // Fields keep their contents, which could be drafts. When an editor opens, its field gets
  // the current text.
  const patched = async () => (await shown(page)).map(({ label, names }) => ({ label, names }));
  const truth = expected(HOSTILE).map(({ label, names }) => ({ label, names }));
  await expect.poll(patched).toEqual(truth);
  for (const index of HOSTILE.keys()) {
    const item = page.items.nth(index);
    await item.locator("summary").click();
    await expect(item.locator(".edit")).toBeFocused();
    expect(await item.locator(".edit").inputValue()).toBe(HOSTILE[index]);
  }
  await page.page.keyboard.press("Escape");
  await isIntact(page, HOSTILE);
  expect(asked()).toEqual([]);
});

test("typed and edited, hostile text is only text", async ({ server, visit }) => {
  const page = await visit();
  const asked = listen(page.page);
  const typed = HOSTILE.slice(0, 12);
  for (const [index, text] of typed.entries()) {
    await page.add(text);
    await expect(page.items).toHaveCount(index + 1);
  }
  await isIntact(page, typed);
  const first = page.items.first();
  await first.locator("label").dblclick();
  await first.locator(".edit").press("End");
  await page.page.keyboard.type("</b>{{x}}");
  await page.page.keyboard.press("Enter");
  const edited = [`${typed[0]}</b>{{x}}`, ...typed.slice(1)];
  await isIntact(page, edited);
  expect(await server.todos()).toEqual(edited);
  // The visitor gets a session by the first todo, so the page opens its stream again.
  expect(asked().filter((path) => !path.startsWith("/todos"))).toEqual(["/api/sse/todos"]);
});

test("a text cannot add fields or events to the streams of programs", async ({ server }) => {
  await server.seed(...HOSTILE);
  const response = await fetch(`${server.url}/api/events?after=0`);
  const decoder = new TextDecoder();
  const texts = [];
  let rest = "";
  for await (const bytes of response.body) {
    rest += decoder.decode(bytes, { stream: true });
    const frames = rest.split("\n\n");
    rest = frames.pop();
    for (const frame of frames) {
      // As in the standard: each of these ends a line.
      const lines = frame.split(/\r\n|\r|\n/);
      expect(lines.filter((line) => !/^(event|data|id): /.test(line))).toEqual([]);
      const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
      if (data.length > 0) texts.push(JSON.parse(data.join("\n")).payload.text);
    }
    if (texts.length === HOSTILE.length) break;
  }
  expect(texts).toEqual(HOSTILE);
});

test("control characters are refused with a reason and stored nowhere", async ({ server, visit }) => {
  const [id] = await server.seed("Before");
  const page = await visit();
  for (const control of CONTROLS) {
    const text = `one${control}two`;
    const reason = new RegExp(`control characters.*U\\+00${control.charCodeAt(0).toString(16).padStart(2, "0")}`, "i");
    for (const command of [{ type: "create", text }, { type: "rename", id, text }]) {
      const response = await server.post("/api/commands/todo", command);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ type: "/problems/invalid-value", detail: expect.stringMatching(reason) });
    }
    if (!BREAKS.includes(control)) for (const path of ["/todos", `/todos/${id}/rename`]) {
      const response = await server.submit(path, { text });
      expect(response.status).toBe(400);
      expect(await response.text()).toMatch(reason);
    }
    if (!BREAKS.includes(control)) for (const path of ["/lists", "/lists/0198c0de-0000-7000-8000-000000000000/rename"]) {
      const response = await server.submit(path, { name: text });
      expect(response.status).toBe(400);
      expect(await response.text()).toMatch(reason);
    }
    const response = await server.post("/api/commands/list", { type: "create", name: text });
    expect(response.status).toBe(400);
  }
  await server.seed("After");
  await page.shows("Before", "After");
  const events = await fetch(`${server.url}/api/todos`);
  expect(await events.text()).not.toMatch(/one.*two/);
});

test("texts that look like other texts are refused", async ({ server, visit }) => {
  const [id] = await server.seed("Before");
  const page = await visit();
  for (const text of REFUSED) {
    for (const command of [{ type: "create", text }, { type: "rename", id, text }]) {
      const response = await server.post("/api/commands/todo", command);
      expect([text, response.status]).toEqual([text, 400]);
      expect(await response.json()).toMatchObject({ type: "/problems/invalid-value" });
    }
    const response = await server.post("/api/commands/list", { type: "create", name: text });
    expect([text, response.status]).toEqual([text, 400]);
  }
  await page.shows("Before");
});

test("the browser shows why a control character was refused", async ({ visit }) => {
  const page = await visit();
  await page.add("one\u0007two");
  await expect(page.notice).toHaveText(/must be one line without control characters; this one has U\+0007/);
  await expect(page.field).toHaveValue("one\u0007two");
  await page.shows();
});

test("the names of lists are only text", async ({ server, open, visit }) => {
  const names = HOSTILE.filter((text) => text.length <= 100);
  expect(names).toHaveLength(HOSTILE.length - 1);
  const addresses = [];
  for (const name of names) {
    const { id } = await server.command({ type: "create", name }, "list");
    addresses.push(`/lists/${id}`);
  }
  const page = await open({ owner: true });
  const asked = listen(page);
  await page.goto("/lists");
  await expect(page).toHaveTitle("ironstar · lists");
  const links = page.locator(".rows a");
  const drawn = await links.evaluateAll((links) => links.map(({ textContent, pathname }) => [pathname, textContent]));
  expect(drawn.filter(([path]) => path !== "/lists/shared").sort()).toEqual(addresses.map((address, index) => [address, names[index]]).sort());
  const renames = await page.locator(".rows .edit").evaluateAll((fields) => fields.map(({ value }) => value));
  expect(renames.sort()).toEqual([...names].sort());
  for (const name of names) {
    await expect(page.getByRole("button", { name: `Archive ${name}`, exact: true })).toHaveCount(1);
  }
  expect(asked()).toEqual(["/lists", "/api/sse/lists"]);

  const list = await visit({ path: addresses[0], owner: true });
  const askedThere = listen(list.page);
  for (const [index, address] of addresses.entries()) {
    await list.page.goto(address);
    expect(await list.page.locator("h1").textContent()).toBe(names[index]);
    expect(await list.page.locator("h1").evaluate((heading) => heading.childElementCount)).toBe(0);
    const title = await list.page.locator("title").first().evaluate((title) => title.textContent);
    expect(title).toBe(`ironstar · ${names[index]}`);
    expect(await list.overflow()).toBe(0);
  }
  // The last list is renamed to all other names while it is open.
  const id = addresses.at(-1).split("/").at(-1);
  for (const name of names) {
    await server.command({ type: "rename", id, name }, "list");
    await expect.poll(() => list.page.locator("h1").textContent()).toBe(name);
    expect(await list.page.locator("h1").evaluate((heading) => heading.childElementCount)).toBe(0);
  }
  const unexpected = askedThere().filter((path) => !["/api/sse/todos", ...addresses].includes(path));
  expect(unexpected).toEqual([]);
});

test("a hostile address leads to a problem page", async ({ open }) => {
  const page = await open();
  for (const path of [
    "/<script>alert(1)</script>",
    "/lists/\"><img src=x onerror=alert(1)>",
    "/?after=<script>alert(1)</script>",
    "/lists/..%2f..%2fetc%2fpasswd",
    "/todos?list=%00",
  ]) {
    const response = await page.goto(path);
    expect(response.status()).toBeGreaterThanOrEqual(400);
    expect(response.status()).toBeLessThan(500);
    await expect(page).toHaveTitle("ironstar · sorry");
    await expect(page.locator("main script, main img")).toHaveCount(0);
  }
});
