/** Header fields of a request: names in any case, values as `Headers` gives them. */
export type Fields = Pick<Headers, "get" | "has">;

/** Reads all fields at once. To answer one request some twenty are asked for, most of them absent, and each question to the runtime's Headers costs as much as this. */
export function readFields(headers: Headers): Fields {
  const fields = new Map<string, string>();
  headers.forEach((value, name) => fields.set(name, value));
  return {
    get: (name) => fields.get(name.toLowerCase()) ?? null,
    has: (name) => fields.has(name.toLowerCase()),
  };
}

/** The fields but for the one of this name, in lower case. */
export function withoutField(fields: Fields, without: string): Fields {
  const isLeft = (name: string): boolean => name.toLowerCase() !== without;
  return {
    get: (name) => (isLeft(name) ? fields.get(name) : null),
    has: (name) => isLeft(name) && fields.has(name),
  };
}
