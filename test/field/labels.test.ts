import { LABELS } from "./labels.ts";
import { describeShapes } from "./shape.ts";

describeShapes("a label must not decide over bytes", LABELS);
