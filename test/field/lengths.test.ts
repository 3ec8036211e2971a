import { LENGTHS } from "./lengths.ts";
import { describeShapes } from "./shape.ts";

describeShapes("a body without a length", LENGTHS);
