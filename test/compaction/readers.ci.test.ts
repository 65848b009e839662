// More rounds.
import "./readers.test.ts";
