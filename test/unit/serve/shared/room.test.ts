import { expect, test } from "vitest";
import { createRoom } from "../../../../src/serve/shared/room.ts";

test("room is given up to its limit, and given back once", () => {
  const room = createRoom(100);
  const first = room.take(60);
  expect(room.take(50)).toBeNull();
  const second = room.take(40);
  expect(room.take(1)).toBeNull();
  first?.();
  first?.();
  expect(room.take(61)).toBeNull();
  expect(room.take(60)).not.toBeNull();
  second?.();
  expect(room.take(40)).not.toBeNull();
});
