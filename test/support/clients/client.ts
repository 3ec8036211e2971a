import type { ToolRun } from "../run-tool.ts";

/** A package as its client knows it: by name for package managers, by path for downloaders. */
export interface Wanted {
  readonly name: string;
  /** Below the repository's base URL. */
  readonly path: string;
}

/** A real client with one repository and a root of its own; nothing outside `root` changes. */
export interface ClientRoot {
  readonly root: string;
  /** Gets the repository's metadata anew. */
  refresh(): Promise<ToolRun>;
  /** Downloads the packages, with what they need, and installs them into `root`. Metadata as last refreshed. */
  install(...wanted: readonly Wanted[]): Promise<ToolRun>;
  /** As `install`, but what it downloads is not installed. */
  download(...wanted: readonly Wanted[]): Promise<ToolRun>;
  /** Every package file that the client downloaded and holds for good, by file name. */
  downloads(): Map<string, Buffer>;
  /** The installed file that the package brought, or undefined when it is not installed. */
  installed(name: string): Buffer | undefined;
  remove(): void;
}
