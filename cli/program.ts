import { createRequire } from "node:module";
import { Command, Option } from "commander";
import { compactCommand } from "./commands/compact.ts";
import { eraseCommand } from "./commands/erase.ts";
import { erasuresCommand } from "./commands/erasures.ts";
import { exportCommand } from "./commands/export.ts";
import { getCommand } from "./commands/get.ts";
import { importCommand } from "./commands/import.ts";
import { keysCommand } from "./commands/keys.ts";
import { lsCommand } from "./commands/ls.ts";
import { putCommand } from "./commands/put.ts";
import { rebuildCommand } from "./commands/rebuild.ts";
import { repairCommand } from "./commands/repair.ts";
import { rmCommand } from "./commands/rm.ts";
import { serveCommand } from "./commands/serve.ts";
import { statsCommand } from "./commands/stats.ts";
import { verifyCommand } from "./commands/verify.ts";
import { CommandFailure, exitCodes } from "./exit-codes.ts";
import { defaultDirectory, optionsOf } from "./globals.ts";

const exitCodeHelp = `
Exit codes:
  0  done
  1  not found, as a payload, a group, an erasure or a store; for verify and rebuild: faults found; for repair: a loss that is not accepted
  2  the command line, a name or an option is not valid
  3  the store or the input failed

While a server holds the folder, commands speak to that server. With --url they speak to any, and need no folder; its key is
in $PAYLODE_KEY or in the file that --key-file names.`;

/** What works on any server. The others work on the folder itself. */
const remoteCommands = new Set(["put", "get", "ls", "rm", "erase", "erasures", "stats", "import", "export", "compact"]);

/** The command line. Errors are thrown, not printed and exited on: {@link run} does that once, for all commands. */
export function createProgram(): Command {
  const program = new Command("paylode")
    .description("A payload store for AI agents.")
    .version(version(), "--version")
    .addOption(
      new Option("--dir <folder>", "where the store is").default(defaultDirectory(), "$PAYLODE_DIR, else ./data"),
    )
    .option("--url <address>", "of a server to speak to, in place of the folder")
    .option("--key-file <file>", "what holds the key for the server, in place of $PAYLODE_KEY")
    .option("--tenant <name>", "whose payloads", "default")
    .option("--json", "JSON on standard output")
    .addHelpText("after", exitCodeHelp)
    .showHelpAfterError("(paylode --help says more)")
    .exitOverride()
    .hook("preAction", (_program, command) => {
      if (optionsOf(command).url === undefined || remoteCommands.has(command.name())) return;
      throw new CommandFailure(exitCodes.usage, `${command.name()} works on the folder itself: leave --url out`);
    });
  const commands = [
    serveCommand(),
    putCommand(),
    getCommand(),
    lsCommand(),
    rmCommand(),
    eraseCommand(),
    erasuresCommand(),
    statsCommand(),
    verifyCommand(),
    repairCommand(),
    rebuildCommand(),
    compactCommand(),
    importCommand(),
    exportCommand(),
    keysCommand(),
  ];
  for (const command of commands) {
    program.addCommand(command.copyInheritedSettings(program));
    for (const part of command.commands) part.copyInheritedSettings(command);
  }
  return program;
}

function version(): string {
  // The package names itself, so this finds the same file from cli/ and from dist/cli/.
  const manifest = createRequire(import.meta.url)("paylode/package.json") as { readonly version: string };
  return manifest.version;
}
