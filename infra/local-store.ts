/** `sst dev` runs the local store beside the deployed one: the same app over a folder, at http://localhost:8787. */
export const localStore = new sst.x.DevCommand("LocalStore", {
  dev: { title: "Local store", command: "npm start" },
});
