import { type Command, Option } from "commander";
import type { NodeClientOptions } from "../../node-client.ts";
import { defaultServer } from "../../server-address.ts";
import type { CliEnvironment } from "../io.ts";
import { parseDurationMs } from "./scalars.ts";

export interface ConnectionFlags {
  readonly server?: string;
  readonly tokenFile?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  readonly ca?: string;
  readonly tlsServerName?: string;
  readonly timeout: number;
}

const defaultTimeoutMs = 120_000;

export function addConnectionOptions(command: Command): Command {
  return addTimeoutOption(
    command
      .optionsGroup("Connection:")
      .addOption(
        new Option(
          "--server <address>",
          `the agent: unix:///PATH, https://HOST:7654 or http://127.0.0.1:PORT (default: $PODPLUG_SERVER, then ${defaultServer})`,
        ),
      )
      .option("--token-file <file>", "bearer token made for audience podplug, read at each use (https)")
      .option("--client-cert <file>", "client certificate, PEM (https)")
      .option("--client-key <file>", "the client certificate's key, PEM")
      .option(
        "--ca <file>",
        "authorities that may have signed the agent's certificate, PEM (default: the system's)",
      )
      .option("--tls-server-name <name>", "name that the agent's certificate has, when it isn't the host's"),
  );
}

export function addTimeoutOption(command: Command): Command {
  return command.addOption(
    new Option("--timeout <duration>", "how long to wait for an answer, as 30s or 2m")
      .argParser(parseDurationMs)
      .default(defaultTimeoutMs, "2m"),
  );
}

export function readConnection(flags: ConnectionFlags, env: CliEnvironment): NodeClientOptions {
  return {
    server: flags.server ?? env.server ?? defaultServer,
    tokenFile: flags.tokenFile,
    clientCertFile: flags.clientCert,
    clientKeyFile: flags.clientKey,
    caFile: flags.ca,
    tlsServerName: flags.tlsServerName,
    timeoutMs: flags.timeout,
  };
}
