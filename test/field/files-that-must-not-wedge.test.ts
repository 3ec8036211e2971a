import { WEDGE } from "./files-that-must-not-wedge.ts";
import { describeShapes } from "./shape.ts";

describeShapes("a file must not wedge", WEDGE);
