import { describeShapes } from "./shape.ts";
import { THIRD_PARTY } from "./third-party.ts";

describeShapes("third-party repositories in miniature", THIRD_PARTY);
