import type { ReadyBucket } from "./deploy-bucket.ts";
import type { PassedVariable } from "./deploy-places.ts";
import type { LocalUploads } from "./deploy-uploads.ts";

/** What the command line of `npm run deploy` asked for. */
export interface DeployOptions {
  /** The wrangler.toml to deploy. */
  readonly config: string;
  /** Makes the mirrors' hosts custom domains of the Worker; Cloudflare then replaces the DNS records of these names. */
  readonly domains: boolean;
  /** A location hint: for the bucket, if this command creates it, and for Durable Objects that are created from now on. */
  readonly location: string | undefined;
  /** Has R2 keep writes from far away near their writer first. */
  readonly localUploads: boolean;
  /** Whether CLOUDFLARE_ACCOUNT_ID names an account. */
  readonly hasAccount: boolean;
  /** Whether CLOUDFLARE_API_TOKEN is set, as in Workers Builds. */
  readonly hasToken: boolean;
}

/** What a deployment came to. */
export interface Deployed {
  /** The Worker's targets, as wrangler printed them. */
  readonly urls: readonly string[];
  readonly bucket: ReadyBucket;
  readonly localUploads: LocalUploads;
  /** Variables that this deployment has and [vars] has not. */
  readonly passed: readonly PassedVariable[];
}
