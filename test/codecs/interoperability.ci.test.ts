// The highest level, of four mebibytes, takes seconds.
import "./interoperability.test.ts";
