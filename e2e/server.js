// Starts, stops and restarts the real server on a temporary database.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const READY = /^[a-z0-9-]+ is ready at (http:\/\/([0-9.]+:[0-9]+))/;

// All browsers of a test have one address, so limits by address are off.
const SETTINGS = { RUST_LOG: "error", IRONSTAR_COMMAND_RATE: "0", IRONSTAR_STREAMS_PER_VISITOR: "0" };

export class Server {
  #directory;
  #process;
  #program;
  #settings;
  #listen = "127.0.0.1:0";
  #session;

  /** The address of the application. It stays the same across restarts. */
  url;

  static async start(settings = {}, program = "IRONSTAR_SERVER") {
    const server = new Server();
    server.#settings = settings;
    server.#program = process.env[program];
    if (!server.#program) throw new Error(`${program} names no program; cargo xtask e2e sets it`);
    server.#listen = settings.IRONSTAR_LISTEN ?? server.#listen;
    server.#directory = await mkdtemp(join(tmpdir(), "ironstar-e2e-"));
    await server.start();
    return server;
  }

  async start() {
    const database = this.#settings.DATABASE_URL ?? `sqlite:${join(this.#directory, "ironstar.db")}`;
    this.#process = spawn(
      this.#program,
      ["--listen", this.#listen, "--database-url", database],
      { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...SETTINGS, ...this.#settings } },
    );
    for await (const line of createInterface({ input: this.#process.stdout })) {
      const ready = READY.exec(line);
      if (ready) {
        [, this.url, this.#listen] = ready;
        return;
      }
    }
    throw new Error("the server ended before it was ready");
  }

  async stop(signal = "SIGTERM") {
    const ended = once(this.#process, "exit");
    this.#process.kill(signal);
    await ended;
  }

  /** Stops answering without closing connections, like a machine that has lost its network. */
  freeze() {
    this.#process.kill("SIGSTOP");
  }

  thaw() {
    this.#process.kill("SIGCONT");
  }

  async remove() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.thaw();
      await this.stop();
    }
    await rm(this.#directory, { recursive: true });
  }

  /** Returns the cookie of the session that commands are sent in. It owns the created lists. */
  async session() {
    if (!this.#session) {
      const response = await fetch(`${this.url}/api/session`, { method: "POST" });
      const [cookie] = response.headers.getSetCookie();
      const [, name, value] = /^([^=]+)=([^;]+)/.exec(cookie);
      this.#session = { name, value, url: this.url };
    }
    return this.#session;
  }

  async #headers() {
    if (!this.#session) return {};
    const { name, value } = this.#session;
    return { cookie: `${name}=${value}` };
  }

  /** Sends a command as a program does: on a todo, or on `to`. */
  async command(body, to = "todo") {
    if (to === "list") await this.session();
    const response = await this.post(`/api/commands/${to}`, body);
    if (!response.ok) {
      throw new Error(`${response.status}: ${await response.text()}`);
    }
    return response.json();
  }

  /** Sends JSON, and returns the answer. */
  async post(path, body) {
    return fetch(`${this.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(await this.#headers()) },
      body: JSON.stringify(body),
    });
  }

  /** Sends a form like a browser without JavaScript, but follows no redirect. */
  submit(path, fields) {
    return fetch(`${this.url}${path}`, {
      method: "POST",
      headers: { accept: "text/html" },
      body: new URLSearchParams(fields),
      redirect: "manual",
    });
  }

  /** Creates todos, and returns their ids. */
  async seed(...texts) {
    const ids = [];
    for (const text of texts) {
      const { id } = await this.command({ type: "create", text });
      ids.push(id);
    }
    return ids;
  }

  /** Returns the texts of a list's todos, as programs see them. */
  async todos(list = "shared") {
    const headers = await this.#headers();
    const response = await fetch(`${this.url}/api/todos?list=${list}`, { headers });
    const { todos } = await response.json();
    return todos.map(({ text }) => text);
  }
}
