// A process that ends at each step of an erasure, and not at one of 41.
import "./erasure.test.ts";
