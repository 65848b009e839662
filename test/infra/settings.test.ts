import { describe, expect, test } from "vitest";
import { settingsOf } from "../../infra/settings.ts";

describe("the settings of a stage", () => {
  test("are those of a stage that may go away again, without an address, a limit or another origin", () => {
    expect(settingsOf("ada", {})).toEqual({ production: false, watched: false, corsOrigins: [] });
    expect(settingsOf("production-2", {}).production).toBe(false);
  });

  test("keep and watch production", () => {
    expect(settingsOf("production", {})).toMatchObject({ production: true, watched: true });
  });

  test("are taken from the environment", () => {
    const environment = {
      PAYLODE_ALARM_EMAIL: "on-call@example.org",
      PAYLODE_RESERVED_CONCURRENCY: "40",
      PAYLODE_CORS_ORIGINS: "https://a.example,http://localhost:5173",
      PAYLODE_INDEXED_ATTRIBUTES: "user,model",
      PAYLODE_RETENTION: "30d",
      PAYLODE_RETENTION_CLASSES: "debug=7d,audit=0",
    };

    expect(settingsOf("staging", environment)).toEqual({
      production: false,
      watched: true,
      alarmEmail: "on-call@example.org",
      reservedConcurrency: 40,
      corsOrigins: ["https://a.example", "http://localhost:5173"],
      indexedAttributes: "user,model",
      retention: "30d",
      retentionClasses: "debug=7d,audit=0",
    });
  });

  test("take an empty variable for none", () => {
    const environment = { PAYLODE_ALARM_EMAIL: "", PAYLODE_RESERVED_CONCURRENCY: " " };

    expect(settingsOf("ada", environment)).toEqual(settingsOf("ada", {}));
  });

  test.each([
    ["PAYLODE_ALARM_EMAIL", "on-call"],
    ["PAYLODE_ALARM_EMAIL", "a@b.example, c@d.example"],
    ["PAYLODE_RESERVED_CONCURRENCY", "0"],
    ["PAYLODE_RESERVED_CONCURRENCY", "ten"],
    ["PAYLODE_RESERVED_CONCURRENCY", "1.5"],
    ["PAYLODE_CORS_ORIGINS", "*"],
    ["PAYLODE_CORS_ORIGINS", "app.example"],
    ["PAYLODE_CORS_ORIGINS", "https://app.example/page"],
    ["PAYLODE_RETENTION", "30"],
    ["PAYLODE_RETENTION_CLASSES", "debug"],
    ["PAYLODE_RETENTION_CLASSES", "debug=7d,"],
    ["PAYLODE_INDEXED_ATTRIBUTES", "user,"],
    ["PAYLODE_INDEXED_ATTRIBUTES", "user, model"],
    ["PAYLODE_INDEXED_ATTRIBUTES", Array.from({ length: 33 }, (_, i) => `a${i}`).join()],
  ])("refuse %s=%s by name", (name, value) => {
    expect(() => settingsOf("production", { [name]: value })).toThrow(`${name} must be`);
  });
});
