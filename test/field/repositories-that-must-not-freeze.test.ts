import { FREEZE } from "./repositories-that-must-not-freeze.ts";
import { describeShapes } from "./shape.ts";

describeShapes("a repository must not freeze", FREEZE);
