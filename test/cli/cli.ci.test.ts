// Beside a server, and not on a folder.
import "./cli.test.ts";
