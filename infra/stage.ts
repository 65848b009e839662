import { settingsOf } from "./settings.ts";

/** The settings of the stage that is being deployed. */
export const settings = settingsOf($app.stage, process.env);
