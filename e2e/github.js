// A GitHub to sign in with, which misbehaves on request.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

const ID = "ironstar";
const SECRET = "a-client-secret";

/** Returns a port that is free at the moment. */
const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
};

export class GitHub {
  #process;

  /** The address that the application must have. */
  site;

  /** The address of the stand-in itself. */
  url;

  static async start() {
    const github = new GitHub();
    github.site = `http://127.0.0.1:${await freePort()}`;
    github.#process = spawn(
      process.env.IRONSTAR_GITHUB,
      ["--client-id", ID, "--redirect-url", `${github.site}/sign-in/callback`],
      { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, STAND_IN_SECRET: SECRET } },
    );
    for await (const line of createInterface({ input: github.#process.stdout })) {
      [, github.url] = /^stand-in is ready at (.*)$/.exec(line);
      return github;
    }
    throw new Error("the stand-in ended before it was ready");
  }

  /** The settings of the application for this GitHub. */
  get settings() {
    return {
      IRONSTAR_LISTEN: new URL(this.site).host,
      IRONSTAR_PUBLIC_URL: this.site,
      IRONSTAR_GITHUB_CLIENT_ID: ID,
      IRONSTAR_GITHUB_CLIENT_SECRET: SECRET,
      IRONSTAR_GITHUB_AUTHORIZE_URL: `${this.url}/login/oauth/authorize`,
      IRONSTAR_GITHUB_TOKEN_URL: `${this.url}/login/oauth/access_token`,
      IRONSTAR_GITHUB_API_URL: `${this.url}/api`,
    };
  }

  /** Sets the behaviour from now on. */
  behave(behaviour) {
    return this.#tell("behaviour", behaviour);
  }

  async #tell(what, body) {
    await fetch(`${this.url}/stand-in/${what}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  async stop() {
    const ended = once(this.#process, "exit");
    this.#process.kill();
    await ended;
  }
}
