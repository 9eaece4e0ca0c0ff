// Requests to the station's own endpoints; the page contacts nothing else.

/** The station couldn't be reached, or answered with an error; the message is its status. */
export class RequestError extends Error {
  /** Whether this client has sent too many requests. */
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
    throw new RequestError();
  }
  if (!response.ok) throw new RequestError(response.status);
  return response;
}

/**
 * Request films; `listeners[event](data)` is called for each event, the last of which is `answer`.
 * Throws RequestError if the answer never comes.
 */
export async function recommend(body, listeners, signal) {
  const response = await send("/inference", body, {
    signal,
    headers: { Accept: "text/event-stream" },
  });
  try {
    for await (const [name, data] of readEvents(response.body)) {
      if (name === "error") throw new RequestError(data.error);
      listeners[name]?.(data);
      if (name === "answer") return;
    }
  } catch (error) {
    // A broken connection is a TypeError.
    throw error instanceof TypeError ? new RequestError() : error;
  }
  throw new RequestError();
}

async function* readEvents(stream) {
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

/** What the station perceives in one camera frame. */
export async function readFrame(image, signal) {
  const response = await send("/inference/reading", { images: [image] }, { signal });
  return (await response.json()).perceived;
}

export const saveChoice = (choice) => send("/inference/log", choice);

export const saveFeedback = (feedback) => send("/inference/feedback", feedback);
