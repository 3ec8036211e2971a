import { PAIRS } from "./pairs.ts";
import { describeShapes } from "./shape.ts";

// A long life of roots shows whether what signs them has the same.
describeShapes("a pair has one lifetime", PAIRS, { METADATA_TTL_SECONDS: 60 });
