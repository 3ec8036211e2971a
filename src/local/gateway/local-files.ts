import { constants, type Stats } from "node:fs";
import { type FileHandle, open, readdir, realpath, stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";

/** Large reads: a file of 1 GB is not to take 16,000 turns. */
const READ_BYTES = 512 * 1024;

/** Serves the trees below `roots`, URLs such as `file:///srv/debian`, and nothing else. */
export function createLocalFiles(roots: readonly string[]) {
  const folders = roots.map((url) => fileURLToPath(url)).toSorted((a, b) => b.length - a.length);
  return {
    /**
     * Answers a GET or HEAD of `pathname` (encoded, absolute) as a web server does: conditions, a single range, a listing of a folder. Follows symbolic links only
     * to what lies in the same tree. `fail` answers that the tree cannot be read now, and why: that says nothing of whether the file exists.
     */
    async answer(pathname: string, asked: IncomingMessage, answer: ServerResponse, fail: (reason: string) => void): Promise<void> {
      const found = await find(pathname, folders).catch((error: unknown) => reasonOf(error));
      if (typeof found === "string") return fail(found);
      if (found === null) return end(answer, 404);
      const { path, stats, isBare } = found;
      if (stats.isDirectory() && isBare)
        return end(answer, 301, { location: `${encodeURIComponent(path.slice(path.lastIndexOf("/") + 1))}/` });
      if (stats.isDirectory()) return list(path, asked, answer, fail);
      let file: FileHandle;
      try {
        // Where the path was swapped for a link or a pipe since, this fails or returns at once.
        file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      } catch (error) {
        const reason = reasonOf(error);
        return reason === null ? end(answer, 404) : fail(reason);
      }
      try {
        const now = await file.stat();
        if (now.isFile()) await send(file, now, asked, answer);
        else end(answer, 404);
      } finally {
        await file.close();
      }
    },
  };
}

interface Found {
  /** With all symbolic links resolved. */
  readonly path: string;
  readonly stats: Stats;
  /** A folder that was asked for without a slash at its end. */
  readonly isBare: boolean;
}

/** Null: there is no such file. Throws where the tree is not there or cannot be read: an image that is not mounted has not lost its files. */
async function find(pathname: string, folders: readonly string[]): Promise<Found | null> {
  const wanted = fileURLToPath(`file://${pathname}`);
  const root = folders.find((folder) => wanted === folder || wanted.startsWith(folder.endsWith("/") ? folder : `${folder}/`));
  if (root === undefined || wanted.includes("\0")) return null;
  const base = await realpath(root).catch((error: unknown) => {
    throw new Error(`${root}: ${reasonOf(error) ?? "there is no such folder; is it mounted?"}`);
  });
  let path: string;
  try {
    path = await realpath(wanted);
  } catch (error) {
    if (reasonOf(error) !== null) throw error;
    if ((await readdir(base)).length === 0) throw new Error(`${root}: the folder is empty; is it mounted?`, { cause: error });
    return null;
  }
  if (path !== base && !path.startsWith(base === "/" ? base : `${base}/`)) return null;
  const stats = await stat(path);
  const hasSlash = wanted.endsWith("/");
  if (!stats.isDirectory() && (hasSlash || !stats.isFile())) return null;
  return { path, stats, isBare: !hasSlash && path !== base };
}

/** Null: there is no such file. */
function reasonOf(error: unknown): string | null {
  const { code = "", message } = error as NodeJS.ErrnoException;
  // ELOOP: a link that leads to itself, or one that took the place of a file.
  if (["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "ENXIO", "ERR_INVALID_FILE_URL_PATH"].includes(code)) return null;
  return code === "EACCES" ? message.replace("EACCES: ", "") : message;
}

function end(answer: ServerResponse, status: number, headers: Readonly<Record<string, string | number>> = {}): void {
  answer.writeHead(status, { "content-length": 0, ...headers });
  answer.end();
}

async function list(path: string, asked: IncomingMessage, answer: ServerResponse, fail: (reason: string) => void): Promise<void> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).toSorted();
    const links = names.map((name) => `<a href="./${encodeURIComponent(name).replace(/%2F$/, "/")}">${escapeHtml(name)}</a>\n`);
    const page = Buffer.from(`<!DOCTYPE html>\n<title>Index</title>\n<pre>\n${links.join("")}</pre>\n`);
    answer.writeHead(200, { "content-type": "text/html; charset=utf-8", "content-length": page.length });
    answer.end(asked.method === "HEAD" ? undefined : page);
  } catch (error) {
    fail(reasonOf(error) ?? "the folder is gone");
  }
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

async function send(file: FileHandle, stats: Stats, asked: IncomingMessage, answer: ServerResponse): Promise<void> {
  const { size, mtimeMs, ino } = stats;
  // Replacing a file gives it another inode, and writing into it another date: equal tags are equal bytes (RFC 9110 §8.8.3).
  const etag = `"${ino.toString(36)}-${size.toString(36)}-${Math.round(mtimeMs * 1000).toString(36)}"`;
  const modified = new Date(Math.floor(mtimeMs / 1000) * 1000);
  const validators = { etag, "last-modified": modified.toUTCString() };
  const { "if-none-match": noneMatch, "if-modified-since": since, "if-range": ifRange, range } = asked.headers;
  const isCurrent = noneMatch === undefined ? since !== undefined && modified.getTime() <= Date.parse(since) : noneMatch === etag;
  if (isCurrent) {
    answer.writeHead(304, validators);
    answer.end();
    return;
  }
  const part = ifRange === undefined || ifRange === etag ? parseRange(range, size) : null;
  if (part === "unsatisfiable") return end(answer, 416, { "content-range": `bytes */${size}` });
  const { first, last } = part ?? { first: 0, last: size - 1 };
  const length = last - first + 1;
  answer.writeHead(part === null ? 200 : 206, {
    ...validators,
    "content-length": length,
    "accept-ranges": "bytes",
    ...(part === null ? {} : { "content-range": `bytes ${first}-${last}/${size}` }),
  });
  if (asked.method === "HEAD" || length === 0) {
    answer.end();
    return;
  }
  answer.flushHeaders();
  const body = file.createReadStream({ start: first, end: last, highWaterMark: READ_BYTES, autoClose: false });
  // Rejects where the Worker closed the connection, or the disk fails.
  await pipeline(body, answer, { end: false }).catch(() => {});
  // A file that became shorter meanwhile is cut off, visibly.
  if (body.bytesRead === length) answer.end();
  else answer.destroy();
}

/** One range of bytes; null: the whole file (RFC 9110 §14.2 lets a server ignore what it does not understand). The Worker asks `first-last` or `first-`. */
function parseRange(header: string | undefined, size: number): { readonly first: number; readonly last: number } | "unsatisfiable" | null {
  const [, begin, finish = ""] = /^bytes=(\d+)-(\d*)$/.exec(header ?? "") ?? [];
  if (begin === undefined) return null;
  const first = Number(begin);
  if (first >= size) return "unsatisfiable";
  return { first, last: finish === "" ? size - 1 : Math.min(Number(finish), size - 1) };
}
