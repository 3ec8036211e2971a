import { PROTECTION } from "./protection.ts";
import { describeShapes } from "./shape.ts";

describeShapes("protection must not end silently", PROTECTION);
