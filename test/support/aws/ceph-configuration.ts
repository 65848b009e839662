export interface CephSettings {
  /** Where everything lies; it has the folders mon, osd, rgw and log. */
  readonly directory: string;
  /** The cluster's UUID. */
  readonly cluster: string;
  readonly monitorPort: number;
  readonly gatewayPort: number;
}

/** A `ceph.conf` for one machine: nothing is replicated, nobody has to prove who they are, objects lie in memory. */
export function cephConfiguration({ directory, cluster, monitorPort, gatewayPort }: CephSettings): string {
  const sections = {
    global: {
      fsid: cluster,
      "mon host": `[v1:127.0.0.1:${monitorPort}]`,
      "mon initial members": "a",
      "public network": "127.0.0.0/8",
      "ms bind msgr2": false,
      "auth cluster required": "none",
      "auth service required": "none",
      "auth client required": "none",
      "auth allow insecure global id reclaim": false,
      "log file": `${directory}/log/$name.log`,
      "mon cluster log file": `${directory}/log/cluster.log`,
      "admin socket": "",
      "run dir": directory,
      "mon data": `${directory}/mon`,
      "osd data": `${directory}/osd`,
      "rgw data": `${directory}/rgw`,
      // A monitor decides every second by default, and each step of the start waits for one.
      "paxos propose interval": 0.05,
      "paxos min wait": 0.02,
      // A request to a store that is not up yet is sent again that much later, in seconds.
      "objecter tick interval": 0.1,
      // A test's disk may be nearly full; the monitor would give up.
      "mon data avail crit": 0,
      "mon data avail warn": 0,
      "osd objectstore": "memstore",
      "memstore device bytes": 4 * 1_024 ** 3,
      "osd crush chooseleaf type": 0,
      "osd crush initial weight": 1,
      "mon allow pool size one": true,
      "mon warn on pool no redundancy": false,
      "osd pool default size": 1,
      "osd pool default min size": 1,
      "osd pool default pg num": 4,
      "osd pool default pgp num": 4,
      "osd pool default pg autoscale mode": "off",
    },
    "client.rgw": {
      "rgw frontends": `beast endpoint=127.0.0.1:${gatewayPort} tcp_nodelay=1`,
      "rgw thread pool size": 32,
      "rgw gc obj min wait": 1,
    },
  };
  return Object.entries(sections)
    .map(([name, settings]) =>
      [`[${name}]`, ...Object.entries(settings).map(([setting, value]) => `${setting} = ${value}`), ""].join("\n"),
    )
    .join("\n");
}
