import { ABSENCE } from "./absence.ts";
import { describeShapes } from "./shape.ts";

describeShapes("what is absent", ABSENCE);
