// The station's own endpoints; nothing else is ever asked.

/** The station didn't answer, or said that it can't. */
export class Failed extends Error {
  /** Whether it was asked too often. */
  get isTooOften() {
    return this.message === "429";
  }
}

async function send(path, body, options = {}) {
  const request = { method: "POST", body: JSON.stringify(body) };
  const headers = { "Content-Type": "application/json", ...options.headers };
  let response;
  try {
    response = await fetch(path, { ...request, ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failed();
  }
  if (!response.ok) throw new Failed(response.status);
  return response;
}

/**
 * Ask for films; `on[event](data)` is called as each piece comes, the last of them `answer`.
 * Throws Failed if the answer never comes.
 */
export async function ask(body, on, signal) {
  const response = await send("/inference", body, {
    signal,
    headers: { Accept: "text/event-stream" },
  });
  try {
    for await (const [name, data] of events(response.body)) {
      if (name === "error") throw new Failed(data.error);
      on[name]?.(data);
      if (name === "answer") return;
    }
  } catch (error) {
    // A connection that breaks is a TypeError.
    throw error instanceof TypeError ? new Failed() : error;
  }
  throw new Failed();
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = /^event: (.*)\ndata: (.*)$/.exec(block);
      if (event) yield [event[1], JSON.parse(event[2])];
    }
  }
}

/** What is read of a frame. */
export async function glimpse(image, signal) {
  return (await (await send("/inference/reading", { images: [image] }, { signal })).json())
    .perceived;
}

export const log = (choice) => send("/inference/log", choice);

export const feedback = (said) => send("/inference/feedback", said);
