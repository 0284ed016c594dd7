// Many windows of one browser, over HTTP/1.1: six connections for all of them. (All pages are
// visible here, also those behind others.)

import { expect, test } from "../fixtures.js";
import { TodoPage } from "../todo-page.js";

const WINDOWS = 10;

test.setTimeout(300_000);

const button = (page, name) => page.getByRole("button", { name, exact: true });

/** Opens a window for each path beside a page, one after the other. */
const windows = async (page, paths) => {
  const pages = [];
  for (const path of paths) {
    const other = await page.context().newPage();
    await other.goto(path);
    pages.push(new TodoPage(other));
  }
  return pages;
};

const times = (count, path = "/") => Array.from({ length: count }, () => path);

/** Opens ten windows of one browser. */
const ten = async (visit, options) => {
  const first = await visit(options);
  return [first, ...(await windows(first.page, times(WINDOWS - 1)))];
};

/** Expects a todo in each window. */
const allShow = async (pages, text) => {
  await Promise.all(pages.map((page) => expect(page.item(text)).toBeVisible()));
};

/** Waits until each window is live. */
const areLive = async (server, pages, text) => {
  await server.seed(text);
  await allShow(pages, text);
};

/** Waits until all windows count as one visitor, so that all streams are up to date. */
const areOne = (pages) =>
  Promise.all(pages.map((page) => expect(page.page.locator("#presence")).toHaveText("Only you are here")));

const sharedWorkers = async (session) => {
  const { targetInfos } = await session.send("Target.getTargets");
  return targetInfos.filter(({ type }) => type === "shared_worker");
};

test("ten windows are live, and each sends commands", async ({ server, visit }) => {
  const streams = new Set();
  const first = await visit();
  first.page.context().on("request", (request) => {
    if (request.url().includes("/api/sse/")) streams.add(request);
  });
  for (const end of ["requestfinished", "requestfailed"]) {
    first.page.context().on(end, (request) => streams.delete(request));
  }
  await first.page.reload();
  const pages = [first, ...(await windows(first.page, times(WINDOWS - 1)))];
  await areLive(server, pages, "From outside");
  for (const [number, page] of pages.entries()) {
    await page.add(`From window ${number}`);
    await allShow(pages, `From window ${number}`);
    await expect(page.failed).toHaveText("");
  }
  await Promise.all(pages.map((page, number) => page.toggle(`From window ${number}`).click()));
  await Promise.all(pages.map((page) => expect(page.count).toHaveText("1 item left")));
  await areOne(pages);
  // The worker has one more stream.
  expect(streams.size).toBe(3);
  for (const { connection } of pages) await expect(connection).toHaveText("");
});

test("ten windows on three lists show their own list each", async ({ server, visit }) => {
  const [groceries, plans] = [
    await server.command({ type: "create", name: "Groceries" }, "list"),
    await server.command({ type: "create", name: "Plans" }, "list"),
  ];
  const first = await visit({ owner: true });
  const paths = ["/", `/lists/${groceries.id}`, `/lists/${plans.id}`];
  const others = Array.from({ length: WINDOWS - 1 }, (_, number) => paths[(number + 1) % 3]);
  const pages = [first, ...(await windows(first.page, others))];
  const on = (list) => pages.filter((_, number) => number % 3 === list);
  for (const round of ["one", "two"]) {
    await server.command({ type: "create", text: `Milk ${round}`, list: groceries.id });
    await server.command({ type: "create", text: `Travel ${round}`, list: plans.id });
    await server.seed(`Everyone's ${round}`);
    await allShow(on(0), `Everyone's ${round}`);
    await allShow(on(1), `Milk ${round}`);
    await allShow(on(2), `Travel ${round}`);
  }
  for (const page of on(0)) await page.shows("Everyone's one", "Everyone's two");
  for (const page of on(1)) await page.shows("Milk one", "Milk two");
  for (const page of on(2)) await page.shows("Travel one", "Travel two");
});

test("windows that close or crash leave the others live and are no longer counted", async ({ server, visit }) => {
  const pages = await ten(visit);
  await areLive(server, pages, "Before");
  const presence = (page) => page.page.locator("#presence");
  await Promise.all(pages.map((page) => expect(presence(page)).toHaveText("10 people are here")));
  // One with a connection of its own, and one that shares a connection.
  for (const number of [0, 8]) await pages[number].page.close();
  const left = pages.filter(({ page }) => !page.isClosed());
  await Promise.all(left.map((page) => expect(presence(page)).toHaveText("8 people are here")));
  for (const number of [1, 7]) {
    const { page } = pages[number];
    const session = await page.context().newCDPSession(page);
    const crashed = page.waitForEvent("crash");
    session.send("Page.crash").catch(() => {});
    await crashed;
  }
  // A crash may have ended further windows in the same process.
  const isAlive = ({ page }) => page.evaluate(() => true).catch(() => false);
  const alive = await Promise.all(left.map(isAlive));
  const rest = left.filter((_, number) => alive[number]);
  await areLive(server, rest, "After");
  const said = rest.length === 1 ? "Only you are here" : `${rest.length} people are here`;
  await Promise.all(rest.map((page) => expect(presence(page)).toHaveText(said)));
  const [more] = await windows(rest[0].page, ["/"]);
  await areLive(server, [...rest, more], "Much later");
});

test("windows that share a connection recover when their worker dies", async ({ server, browser, visit }) => {
  const pages = await ten(visit);
  await areLive(server, pages, "Before");
  const session = await browser.newBrowserCDPSession();
  const workers = await sharedWorkers(session);
  expect(workers).toHaveLength(1);
  await session.send("Target.closeTarget", { targetId: workers[0].targetId });
  await server.seed("Meanwhile");
  await areLive(server, pages, "After");
  await Promise.all(pages.map((page) => page.shows("Before", "Meanwhile", "After")));
});

test("ten windows recover when the server restarts", async ({ server, visit }) => {
  const pages = await ten(visit);
  await areLive(server, pages, "Before");
  await server.stop("SIGKILL");
  await Promise.all(pages.map(({ connection }) => expect(connection).toBeVisible()));
  await server.start();
  await Promise.all(pages.map(({ connection }) => expect(connection).toBeHidden()));
  await areLive(server, pages, "After");
  await Promise.all(pages.map((page) => page.shows("Before", "After")));
});

test("ten windows that reload again and again end up live", async ({ server, visit }) => {
  const pages = await ten(visit);
  for (let round = 1; round <= 3; round += 1) {
    const text = `Round ${round}`;
    await Promise.all([...pages.map(({ page }) => page.reload()), server.seed(text)]);
    await allShow(pages, text);
  }
  await areLive(server, pages, "After");
  await Promise.all(pages.map((page) => page.shows("Round 1", "Round 2", "Round 3", "After")));
});

test("a window that was hidden has all changes in between", async ({ server, visit }) => {
  const pages = await ten(visit);
  await areLive(server, pages, "Before");
  const show = (page, isShown) =>
    page.evaluate((isHidden) => {
      Object.defineProperty(document, "hidden", { get: () => isHidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    }, !isShown);
  // One with a connection of its own, and two that share a connection.
  const hidden = [0, 4, 9].map((number) => pages[number]);
  for (const { page } of hidden) await show(page, false);
  await areLive(server, pages.filter((page) => !hidden.includes(page)), "Meanwhile");
  for (const page of hidden) await page.shows("Before");
  for (const { page } of hidden) await show(page, true);
  await areLive(server, pages, "After");
  await Promise.all(pages.map((page) => page.shows("Before", "Meanwhile", "After")));
});

test.describe("of a visitor who signs in", () => {
  test.use({ hasGithub: true });

  test("signing in and out in one window reaches all", async ({ visit }) => {
    const pages = await ten(visit);
    const { page } = pages[7];
    await button(page, "Dark").click();
    await Promise.all(pages.map(({ page }) => expect(button(page, "Dark")).toHaveAttribute("aria-pressed", "true")));
    await button(page, "Sign in with GitHub").click();
    await button(page, "Authorize as octocat").click();
    await Promise.all(pages.map(({ page }) => expect(page.locator(".user")).toHaveText("The Octocat")));
    await button(page, "Sign out").click();
    await Promise.all(pages.map(({ page }) => expect(button(page, "Sign in with GitHub")).toBeVisible()));
    await pages[9].add("After");
    await allShow(pages, "After");
  });
});

test("windows of a browser without locks share, and are live", async ({ server, open, visit }) => {
  // As on a site without TLS and under a name other than localhost.
  const page = await open();
  await page.context().addInitScript(() => Object.defineProperty(navigator, "locks", { value: undefined }));
  await page.goto("/");
  const pages = [new TodoPage(page), ...(await windows(page, times(WINDOWS - 1)))];
  await areLive(server, pages, "Milk");
  await pages[8].toggle("Milk").click();
  await Promise.all(pages.map((page) => page.hasCompleted("Milk")));
  await (await visit()).hasCompleted("Milk");
});

test("a few windows of a browser without shared workers are live", async ({ server, open }) => {
  const page = await open();
  await page.context().addInitScript(() => delete window.SharedWorker);
  await page.goto("/");
  const pages = [new TodoPage(page), ...(await windows(page, times(4)))];
  await areLive(server, pages, "Milk");
});

test("a window whose worker cannot be loaded has a connection of its own", async ({ server, open }) => {
  const page = await open();
  await page.context().addInitScript(() => {
    const { SharedWorker } = window;
    window.SharedWorker = class extends SharedWorker {
      constructor() {
        super("/static/bundle-0000000000000000.js");
      }
    };
  });
  await page.goto("/");
  const pages = [new TodoPage(page), ...(await windows(page, times(3)))];
  await areLive(server, pages, "Milk");
});

test("a window whose browser refuses workers has a connection of its own", async ({ server, open }) => {
  // As with blocked storage, on a site without TLS and under a name other than localhost.
  const page = await open();
  await page.context().addInitScript(() => {
    Object.defineProperty(navigator, "locks", { value: undefined });
    window.SharedWorker = class {
      constructor() {
        throw new DOMException("Access is denied", "SecurityError");
      }
    };
  });
  await page.goto("/");
  await areLive(server, [new TodoPage(page)], "Milk");
});

test("a window whose browser refuses locks has a connection of its own", async ({ server, open }) => {
  const page = await open();
  await page.context().addInitScript(() => {
    navigator.locks.request = () => Promise.reject(new DOMException("Access is denied", "SecurityError"));
  });
  await page.goto("/");
  await areLive(server, [new TodoPage(page)], "Milk");
});

test("windows over HTTP/2 have a connection each", async ({ server, browser, open }) => {
  const page = await open();
  // As behind a proxy that speaks HTTP/2.
  await page.context().addInitScript(() => {
    performance.getEntriesByType = () => [{ nextHopProtocol: "h2" }];
  });
  const streams = [];
  page.context().on("request", (request) => {
    if (request.url().includes("/api/sse/")) streams.push(request);
  });
  await page.goto("/");
  const pages = [new TodoPage(page), ...(await windows(page, times(4)))];
  await areLive(server, pages, "Milk");
  expect(streams).toHaveLength(5);
  expect(await sharedWorkers(await browser.newBrowserCDPSession())).toEqual([]);
});

test("the worker takes as many streams as a bundle holds, and keeps them apart", async ({ server, open }) => {
  const { id } = await server.command({ type: "create", name: "Groceries" }, "list");
  await server.command({ type: "create", text: "Milk", list: id });
  await server.seed("Everyone's");
  const page = await open({ owner: true });
  await page.goto("/styleguide");
  const script = await page.locator("script[src]").getAttribute("src");
  const [worker] = /\/static\/bundle-\w+\.js/.exec(await (await fetch(`${server.url}${script}`)).text());
  const heard = await page.evaluate(([worker, list]) => {
    const paths = Array.from({ length: 26 }, (_, number) => `/api/sse/todos${number % 2 ? `?list=${list}` : ""}`);
    const ask = (path) =>
      new Promise((resolve) => {
        const { port } = new SharedWorker(worker);
        const heard = [];
        port.onmessage = ({ data }) => {
          heard.push(data);
          if (data === 429 || `${data}`.includes('id="todos"')) resolve(heard.join(" "));
        };
        port.postMessage({ wanted: { path } });
      });
    return Promise.all(paths.map(ask));
  }, [worker, id]);
  expect(heard.slice(24)).toEqual(["429", "429"]);
  for (const [number, said] of heard.slice(0, 24).entries()) {
    expect(said.startsWith("200 ")).toBe(true);
    expect(said.includes(">Milk<")).toBe(number % 2 === 1);
    expect(said.includes(">Everyone's<")).toBe(number % 2 === 0);
  }
});
