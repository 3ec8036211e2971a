import type { Target } from "../route/target.ts";
import type { StoredObject } from "../store/stored-object.ts";
import { typeOfName } from "../verify/html.ts";

/**
 * A shared object as this mirror answers with it. Its bytes are proven, its labels are not: those of an upstream that is none of this mirror's give way to the
 * type of the name, and to the time at which the bytes were stored.
 */
export function withoutForeignLabels(object: StoredObject, { mirror, path }: Pick<Target, "mirror" | "path">): StoredObject {
  if (mirror.upstreams.some(({ url }) => url === object.upstream)) return object;
  const { etag: _theirs, ...rest } = object;
  return { ...rest, contentType: typeOfName(path) ?? "application/octet-stream", lastModified: new Date(object.storedAt).toUTCString() };
}
