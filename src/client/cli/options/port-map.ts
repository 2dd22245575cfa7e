import { InvalidArgumentError } from "commander";
import type { PortMapping } from "../../../domain/selection.ts";

/** `8080:80`, `5353:53/udp`, `192.0.2.1:8080:80`, `[2001:db8::1]:8080:80/tcp`; repeatable. */
export function collectPortMap(text: string, previous: readonly PortMapping[] | undefined): PortMapping[] {
  const match = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp|sctp))?$/i.exec(text);
  if (match === null) {
    throw new InvalidArgumentError(
      "Use [HOSTIP:]HOSTPORT:CONTAINERPORT[/PROTOCOL], as in 8080:80 or 5353:53/udp.",
    );
  }
  const [, hostIpV6, hostIpV4, hostPort, containerPort, protocol = "tcp"] = match;
  return [
    ...(previous ?? []),
    {
      hostIp: hostIpV6 ?? hostIpV4,
      hostPort: Number(hostPort),
      containerPort: Number(containerPort),
      protocol: protocol.toLowerCase(),
    },
  ];
}
