import type { NodeResponse } from "./exchanges.ts";

export interface Page {
  readonly contentType: string;
  readonly text: string;
}

/** Answers with a text that is true now and not later; HEAD gets its headers. */
export function sendPage(response: NodeResponse, status: number, { contentType, text }: Page): void {
  if (response.headersSent) return;
  response.statusCode = status;
  response.setHeader("content-type", contentType);
  response.setHeader("cache-control", "no-store");
  response.end(text);
}

export function sendText(response: NodeResponse, status: number, text: string): void {
  sendPage(response, status, { contentType: "text/plain; charset=utf-8", text });
}
