import "./find-rows-random.test.ts";
