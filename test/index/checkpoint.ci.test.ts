// Each byte is flipped.
import "./checkpoint.test.ts";
